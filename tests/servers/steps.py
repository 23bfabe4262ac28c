# SPDX-License-Identifier: Apache-2.0
"""What a step of a scenario is, and how its numbers are written."""
import collections
import dataclasses
from typing import Callable


def counts(text, macros=None):
    """"SESSION 2*auth.failed" -> Counter. Words in capitals are macros; an event of a server other than the one
    under test is written "dovecot:auth.failed"."""
    total = collections.Counter()
    for word in text.split():
        times, star, event = word.partition("*")
        if not star:
            times, event = 1, word
        if event.isupper():
            for inner, number in counts(macros[event], macros).items():
                total[inner] += int(times) * number
        else:
            total[event] += int(times)
    return total


@dataclasses.dataclass
class Step:
    name: str
    times: int  # how often the action is done
    action: Callable
    events: collections.Counter  # of one time
    log: collections.Counter  # what the server's log says of one time, where that is not what happened

    def expected(self):
        """All events of the step; those not in it must not move."""
        return collections.Counter({event: number * self.times for event, number in self.events.items() if number})

    def expected_log(self):
        merged = {**self.events, **self.log}
        return collections.Counter({event: number * self.times for event, number in merged.items() if number})

    def run(self, bed):
        for _ in range(self.times):
            self.action(bed)


def table(macros, rows):
    """rows: (name, times, action, events of one time[, log of one time])."""
    return [Step(name, times, action, counts(events, macros), counts(log[0], macros) if log else collections.Counter())
            for name, times, action, events, *log in rows]
