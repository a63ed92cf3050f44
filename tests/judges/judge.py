"""What both judges share: requests come in as lines of JSON, [kind, arguments...], and each is answered by one.

Words and bits are numbers, bytes and bursts are hex. What a library raises is answered as {"raised": ...}, for the
test to expect or not; a TimeoutError is for what goes on for ever.
"""

import json
import signal
import sys


def give_up(*_):
    raise TimeoutError


def serve(handlers):
    signal.signal(signal.SIGALRM, give_up)
    for line in sys.stdin:
        kind, *arguments = json.loads(line)
        signal.alarm(2)
        try:
            answer = handlers[kind](*arguments)
        except Exception as error:  # whatever a library throws is its answer
            answer = {"raised": type(error).__name__}
        signal.alarm(0)
        print(json.dumps(answer))


def nearest(words, distance):
    """A decoder out of a library's encoder: the data whose word is at most `distance` bits away, or None."""
    words = [(word, data) for data, word in enumerate(words)]

    def decode(received):
        for word, data in words:
            if bin(word ^ received).count("1") <= distance:
                return data
        return None

    return decode
