#!/usr/bin/env python3
"""busflap.py LINES: is what a node said of PeerConnected what its peers are?

LINES: for each peer 'peer OBJECT-NAME WORD', how it is now, while the node says
the same as its worst peer; then what signals() of bus.sh prints. The node says
an improvement of its worst peer at once, a worsening when it has held for two
seconds, and never the same word twice. Prints what is wrong; the last line
counts.
"""
import sys

ORDER = ["NotDetermined", "NotConnected", "InProgress", "Connected"]
ROOT = "/xyz/openbmc_project/Provisioning"
HOLD = 2.0
SLACK = 0.5     # s, of a busy machine


def read(name):
    peers, history, said = {}, [], []
    for line in open(name):
        f = line.split()
        if f and f[0] == "peer":
            peers[ROOT + "/peers/" + f[1]] = f[2]
            history = [(0.0, min(map(ORDER.index, peers.values())))]
            continue
        if len(f) < 4 or not f[2].endswith(".PropertiesChanged"):
            continue
        word = [x.split(".")[-1] for x in f[3:] if x.startswith("PeerConnected=")]
        t = int(f[0]) / 1e6
        if word and f[1] in peers:
            peers[f[1]] = word[0]
            history.append((t, min(map(ORDER.index, peers.values()))))
        elif word and f[1] == ROOT:
            said.append((t, ORDER.index(word[0])))
    return history, said


def main():
    history, said = read(sys.argv[1])
    wrong = []

    def between(a, b):
        """The worst peer's words from a to b."""
        return {w for i, (at, w) in enumerate(history)
                if at <= b and (i + 1 == len(history) or history[i + 1][0] >= a)}

    node = history[0][1]
    for t, word in said:
        if word == node:
            wrong.append("%s, twice" % ORDER[word])
        if word not in between(t - SLACK, t + SLACK):
            wrong.append("%s, which the worst peer is not" % ORDER[word])
        if word < node and any(w >= node for w in between(t - HOLD + SLACK, t - SLACK)):
            wrong.append("%s, which had not held" % ORDER[word])
        node = word
    if node != history[-1][1]:
        wrong.append("%s in the end" % ORDER[node])
    for w in wrong:
        print("said", w)
    print(len(history) - 1, "changes of peers,", len(said), "of the node")
    return len(wrong) > 0


sys.exit(main())
