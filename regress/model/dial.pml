/*
 * Two nodes that may dial each other at once: the rule of netd/peerlink.c, by
 * which one connection stays. What is said on one connection keeps its order,
 * what is said on two does not; connections break at any moment, heard by one
 * end, both, or none.
 *
 * Written by hand; each inline below has the name of its function there.
 */
#define A	0		/* the lower node id */
#define B	1
#define CONNS	4		/* places for connections, used again */
#define NONE	CONNS
#ifndef LOSSES
#define LOSSES	3
#endif

mtype = { HELLO, ALIVE, PING, FIN };
#define CLOSED		0
#define GREETING	1
#define LIVE		2
#define at(c, n)	((c) * 2 + (n))

byte	end[CONNS * 2];		/* of connection c at node n */
bit	dialler[CONNS];
chan	q[CONNS * 2] = [4] of { mtype };	/* on c, to n */
byte	live[2] = NONE;
byte	losses;			/* still to come */
byte	pings = 1;		/* at any moment; others when time passes */
bit	faultless;		/* nothing is lost in this run */
bit	crossed;		/* one dialled while the other's dial was there */

#define open2(c)	(end[at(c, A)] != CLOSED && end[at(c, B)] != CLOSED)
#define used(c)		(end[at(c, A)] != CLOSED || end[at(c, B)] != CLOSED)
#define dialling(n)	((end[at(0, n)] == GREETING && dialler[0] == n) || \
			(end[at(1, n)] == GREETING && dialler[1] == n) || \
			(end[at(2, n)] == GREETING && dialler[2] == n) || \
			(end[at(3, n)] == GREETING && dialler[3] == n))
#define number		(used(0) + used(1) + used(2) + used(3))
#define one		(number == 1 && live[A] != NONE && live[A] == live[B])
#define wins(c)		(dialler[c] == A)

inline say(c, n, token) {	/* n says it */
	if
	:: end[at(c, 1 - n)] != CLOSED -> q[at(c, 1 - n)]!token
	:: else -> skip
	fi
}

inline drain(c, n) {
	do
	:: nempty(q[at(c, n)]) -> q[at(c, n)]?_
	:: empty(q[at(c, n)]) -> break
	od
}

inline successor(n) {
	live[n] = NONE;
	if
	:: end[at(0, n)] == LIVE -> live[n] = 0
	:: end[at(1, n)] == LIVE -> live[n] = 1
	:: end[at(2, n)] == LIVE -> live[n] = 2
	:: end[at(3, n)] == LIVE -> live[n] = 3
	:: else -> skip
	fi
}

inline link_end(c, n) {
	end[at(c, n)] = CLOSED;
	drain(c, n);
	if
	:: live[n] == c -> successor(n)
	:: else -> skip
	fi
}

inline end_others(n) {
	i = 0;
	do
	:: i < CONNS ->
		if
		:: i != live[n] && end[at(i, n)] == LIVE ->
			end[at(i, n)] = CLOSED;
			drain(i, n);
			say(i, n, FIN)
		:: else -> skip
		fi;
		i++
	:: else -> break
	od
}

inline became_live(c, n) {
	end[at(c, n)] = LIVE;
	if
	:: live[n] != NONE && dialler[live[n]] != dialler[c] && !wins(c) ->
		say(live[n], n, PING)
	:: else ->
		old = live[n];
		live[n] = c;
		if
		:: old != NONE && (dialler[old] == dialler[c] ||
			dialler[c] == n) -> end_others(n)
		:: else -> skip
		fi
	fi
}

inline heard_token(c, n, t) {
	if
	:: end[at(c, n)] == LIVE && live[n] == c -> end_others(n)
	:: end[at(c, n)] == GREETING && dialler[c] == n && t == ALIVE ->
		became_live(c, n)
	:: end[at(c, n)] == GREETING && dialler[c] != n && t == HELLO ->
		became_live(c, n)
	:: else -> skip
	fi
}

inline link_data(c, n, t) {
	heard_token(c, n, t);
	if
	:: end[at(c, n)] != CLOSED && (dialler[c] != n || t == PING) ->
		say(c, n, ALIVE)
	:: else -> skip
	fi
}

inline dial(c, n) {
	dialler[c] = n;
	end[at(c, n)] = GREETING;
	end[at(c, 1 - n)] = GREETING;
	crossed = crossed || (number > 1);
	say(c, n, HELLO)
}

#define free(c)		(!used(c) && empty(q[at(c, A)]) && empty(q[at(c, B)]))
#define taken(c)	(used(c) || nempty(q[at(c, A)]) || nempty(q[at(c, B)]))
#define room		(free(0) || free(1) || free(2) || free(3))
/* Silence, or the deadline of the greeting. */
#define dead(c, n)	(end[at(c, n)] != CLOSED && \
			end[at(c, 1 - n)] == CLOSED && empty(q[at(c, n)]))

#define READ(c)	:: atomic { end[at(c, n)] != CLOSED && nempty(q[at(c, n)]) -> \
			q[at(c, n)]?t; \
			if \
			:: t == FIN -> link_end(c, n) \
			:: else -> link_data(c, n, t) \
			fi; \
			old = 0; i = 0; t = 0 }

active [2] proctype node()
{
	byte	n = _pid, i, old;
	mtype	t;

	do
	:: atomic { live[n] == NONE && !dialling(n) && room ->
		if
		:: free(0) -> dial(0, n)
		:: taken(0) && free(1) -> dial(1, n)
		:: taken(0) && taken(1) && free(2) -> dial(2, n)
		:: taken(0) && taken(1) && taken(2) && free(3) -> dial(3, n)
		fi }
	READ(0)
	READ(1)
	READ(2)
	READ(3)
	:: atomic { dead(0, n) -> link_end(0, n) }
	:: atomic { dead(1, n) -> link_end(1, n) }
	:: atomic { dead(2, n) -> link_end(2, n) }
	:: atomic { dead(3, n) -> link_end(3, n) }
	:: atomic { pings > 0 && live[n] != NONE ->
		pings--;
		say(live[n], n, PING) }
	od
}

/* The connections that a node dialled are pinged while nothing else happens. */
active proctype time()
{
	byte	c;

	do
	:: atomic { timeout && !one ->
		c = 0;
		do
		:: c < CONNS && end[at(c, dialler[c])] == LIVE ->
			say(c, dialler[c], PING);
			c++
		:: c < CONNS && end[at(c, dialler[c])] != LIVE -> c++
		:: c == CONNS -> break
		od;
		c = 0 }
	od
}

inline lose(c) {
	losses--;
	drain(c, A);
	drain(c, B);
	if
	:: link_end(c, A)
	:: link_end(c, B)
	:: link_end(c, A); link_end(c, B)
	fi
}

active proctype wire()
{
	if
	:: losses = LOSSES
	:: faultless = 1
	fi;
	do
	:: atomic { losses > 0 && open2(0) -> lose(0) }
	:: atomic { losses > 0 && open2(1) -> lose(1) }
	:: atomic { losses > 0 && open2(2) -> lose(2) }
	:: atomic { losses > 0 && open2(3) -> lose(3) }
	od
}

/* Whatever happened, in the end there is one connection, for good. */
ltl settles { <> [] one }
/* Of two that met, and that nothing broke, it is the one of the lower id. */
ltl lower_stays { (<> (faultless && crossed)) ->
	<> [] (one && dialler[live[A]] == A) }
