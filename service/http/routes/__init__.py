"""The endpoints: from HTTP to calls and back, without logic of their own."""
