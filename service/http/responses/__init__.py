"""From what was done to what is sent: pictures, jobs, lists of styles."""
