"""``Keys``: every Redis key of ours. Code that reads or writes one takes its name from here; its content stands here.

    jobs, jobs:LANE     streams, one per lane: the ids of waiting and running jobs         queue
    job:ID              hash, the job's life: parameters, uploads, progress                queue
    result:ID           hash: an image and how it was made, or an error                    queue, records
    uncounted           list: how images were made, for the metrics                        queue
    replies:NAME        list: ids of answered jobs that an API process waits for           queue
    workers             hash: the last heartbeat of each worker                         queue
    dead                stream: the jobs given up last                                     queue
    dead_lettered       counter: jobs given up                                             queue
    redelivered         counter: jobs whose worker died                                    queue
    record:ID           hash: a job whose result is kept, and its outcome                  records, queue
    pictures            size-capped store: the results of such jobs                        records, queue
    style:ID            hash: a registered style; has no expiry                            styles
    styles              sorted set: the ids of registered styles, by number                styles
    running:CLIENT      sorted set: the requests of an API key that run now                limits
All have one prefix. ``scripts.lua`` says what a size-capped store is.
"""

from dataclasses import dataclass

from service.queue.jobs import LANES, Lane

GROUP = "workers"
"""The consumer group of every lane's stream."""


@dataclass(frozen=True)
class Keys:
    """The names of all keys below one prefix."""

    prefix: str

    def stream(self, lane: Lane) -> str:
        """A lane's stream."""
        return f"{self.prefix}:jobs" if lane == "interactive" else f"{self.prefix}:jobs:{lane}"

    @property
    def streams(self) -> tuple[str, ...]:
        """Streams of all lanes, in the order of ``LANES``."""
        return tuple(self.stream(lane) for lane in LANES)

    def job(self, job_id: str) -> str:
        """A job, from its acceptance to its result, its cancellation or its deadline."""
        return f"{self.prefix}:job:{job_id}"

    def result(self, job_id: str) -> str:
        """A job's result, kept for a while."""
        return f"{self.prefix}:result:{job_id}"

    def record(self, job_id: str) -> str:
        """A job's record, from its acceptance on, longer than job and result."""
        return f"{self.prefix}:record:{job_id}"

    def replies(self, api_name: str) -> str:
        """Replies for one API process."""
        return f"{self.prefix}:replies:{api_name}"

    @property
    def workers(self) -> str:
        """Their heartbeats, by name."""
        return f"{self.prefix}:workers"

    @property
    def dead(self) -> str:
        """Jobs that outlived too many workers."""
        return f"{self.prefix}:dead"

    @property
    def dead_lettered(self) -> str:
        """Number of jobs that outlived too many workers."""
        return f"{self.prefix}:dead_lettered"

    @property
    def uncounted(self) -> str:
        """Results that no API process has counted yet."""
        return f"{self.prefix}:uncounted"

    @property
    def redelivered(self) -> str:
        """Number of jobs that were given to others because their worker died."""
        return f"{self.prefix}:redelivered"

    @property
    def pictures(self) -> tuple[str, str]:
        """The size-capped store of results that wait to be fetched: its list and its size."""
        return f"{self.prefix}:pictures", f"{self.prefix}:pictures:bytes"

    def style(self, style_id: str) -> str:
        """A registered style."""
        return f"{self.prefix}:style:{style_id}"

    @property
    def styles(self) -> tuple[str, str]:
        """The ids of all registered styles by their number, and the last number that was given."""
        return f"{self.prefix}:styles", f"{self.prefix}:styles:last"

    def running(self, client: str) -> str:
        """The running requests of one client, by the time until which they count."""
        return f"{self.prefix}:running:{client}"
