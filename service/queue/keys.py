"""``Keys``: every Redis key of ours. Code that reads or writes one takes its name from here; its content stands here.

    jobs, jobs:LANE     streams, one per lane: the ids of waiting and running jobs         queue
      …:turns           hash: each client's last turn in a lane, and the last of all       queue
    job:ID              hash, the job's life: parameters, uploads, progress                queue
    result:ID           hash: an image and how it was made, or an error                    queue, records
    uncounted           list: how images were made, for the metrics                        queue
    replies:NAME        list: ids of answered jobs that an API process waits for           queue
    workers             hash: the last heartbeat of each worker                         queue
    pace:LANE           hash: ms of a worker per job, of ordinary (0), preemptible (1)  queue
    dead                stream: the jobs given up last                                     queue
    dead_lettered       counter: jobs given up                                             queue
    redelivered         counter: jobs whose worker died                                    queue
    record:ID           hash: a job whose result is kept, and its outcome                  records, queue
    pictures            size-capped store: the results of such jobs                        records, queue
    style:ID            hash: a registered style; has no expiry                            styles
    styles              sorted set: the ids of registered styles, by number                styles
    running:CLIENT      sorted set: the requests and jobs of an API key that run now       limits, queue
    staged:RANDOM       hash: what a script is about to make a job, a result or a style    queue, styles
All have one prefix. ``scripts.lua`` says what a size-capped store is.
"""

from uuid import uuid4

from service.queue.jobs import LANES, Lane

GROUP = "workers"
"""The consumer group of every lane's stream."""


class Keys:
    """The names of all keys below one prefix.

    Attributes:
        streams: Streams of all lanes, in the order of ``LANES``.
        pictures: List and size of the size-capped store of results.
        styles: The ids of all registered styles by their number, and the last number that was given.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.streams = tuple(self.stream(lane) for lane in LANES)
        self.workers = f"{prefix}:workers"
        self.dead = f"{prefix}:dead"
        self.dead_lettered = f"{prefix}:dead_lettered"
        self.uncounted = f"{prefix}:uncounted"
        self.redelivered = f"{prefix}:redelivered"
        self.pictures = (f"{prefix}:pictures", f"{prefix}:pictures:bytes")
        self.styles = (f"{prefix}:styles", f"{prefix}:styles:last")

    def stream(self, lane: Lane) -> str:
        """A lane's stream."""
        return f"{self._prefix}:jobs" if lane == "interactive" else f"{self._prefix}:jobs:{lane}"

    def pace(self, lane: Lane) -> str:
        """Measured times per job of a lane."""
        return f"{self._prefix}:pace:{lane}"

    def job(self, job_id: str) -> str:
        """A job, from its acceptance to its result, its cancellation or its deadline."""
        return f"{self._prefix}:job:{job_id}"

    def result(self, job_id: str) -> str:
        """A job's result, kept for a while."""
        return f"{self._prefix}:result:{job_id}"

    def record(self, job_id: str) -> str:
        """A job's record, from its acceptance on, longer than job and result."""
        return f"{self._prefix}:record:{job_id}"

    def replies(self, api_name: str) -> str:
        """Replies for one API process."""
        return f"{self._prefix}:replies:{api_name}"

    def staged(self) -> str:
        """A new key of a hash that a script is to rename."""
        return f"{self._prefix}:staged:{uuid4().hex}"

    def style(self, style_id: str) -> str:
        """A registered style."""
        return f"{self._prefix}:style:{style_id}"

    def running(self, client: str) -> str:
        """The running requests and jobs of one client, by the time until which they count."""
        return f"{self._prefix}:running:{client}"
