"""Several posts at once: how letters leave through anything that is not SMTP."""

import gc
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress

from subscriptions.jobs import Job, Jobs
from subscriptions.post import Post
from subscriptions.verdicts import Phase, Verdict, lost

#: Letters between two looks for garbage. Libraries of mail services leave a hundred objects in a circle for each
#: letter, and whoever sends many may have turned the collector off.
TIDY_EVERY = 500


class Crew:
    """Posts in threads of their own; the ledger is only touched by the thread that runs them."""

    def __init__(self, posts: list[Post]) -> None:
        self._posts = posts
        self._threads = ThreadPoolExecutor(max_workers=len(posts), thread_name_prefix="post")

    def close(self) -> None:
        self._threads.shutdown(wait=True)
        for post in self._posts:
            post.close()

    def run(self, jobs: Jobs) -> None:
        """Carry letters until `jobs` has none left. Stopped halfway, it still waits for the answers that are due."""
        free, out = list(self._posts), dict[Future[Verdict], tuple[Job, Post]]()
        given_since = 0
        pause: float | None = 0.0
        try:
            while pause is not None or out:
                given: Job | float | None = 0.0
                while free and isinstance(given := jobs.next(), Job):
                    jobs.begin(given)
                    post = free.pop()
                    out[self._threads.submit(post.send, given.letter)] = given, post
                    given_since += 1
                pause = given if free and not isinstance(given, Job) else 0.0
                if out:
                    self._settle(jobs, free, out, jobs.patience if not pause else min(pause, jobs.patience))
                elif pause:
                    time.sleep(min(pause, jobs.patience))
                jobs.tick()
                if given_since >= TIDY_EVERY:
                    gc.collect(0)  # the youngest alone, which costs little
                    given_since = 0
        finally:
            while out:
                with suppress(Exception):  # the first error is on its way already, and each letter was settled
                    self._settle(jobs, free, out, None)

    def _settle(
        self, jobs: Jobs, free: list[Post], out: dict[Future[Verdict], tuple[Job, Post]], seconds: float | None
    ) -> None:
        ready, _ = wait(out, seconds, FIRST_COMPLETED)
        for future in ready:
            job, post = out.pop(future)
            free.append(post)
            error = future.exception()
            jobs.done(job, future.result() if error is None else lost(Phase.DOT, f"{type(error).__name__}: {error}"))
            if error is not None:
                raise error
