/*
 * The life of a peer: what policyd, attestd -Q, netd, an operator, the peer
 * and somebody else on the cable do with each other, killed and restarted at
 * any moment, until "calm": from then on no more faults come, and
 * whoever answers is the peer, with good evidence.
 */
bit	calm;		/* for good, once set */
bit	eager;		/* an operator who wants the pair whatever happened */
bit	attestq_up = 1;
byte	link;		/* at netd */
#define L_NONE	0
#define L_DIALS	1
#define L_UP	2
bit	with_peer;	/* whom netd's connection is with: the peer, or another */
chan	news = [1] of { byte, bit };	/* netd tells; the event, with_peer */
bit	matched;	/* the connection of the last link-up was the peer's */

#define wanted	(state == S_ATTESTING || trusted || \
		(state == S_ATTESTFAILED && (have & LEAVE)))
#define pending	(due || job != J_NONE)

#define E_RESTART	EVENTS		/* killed, and started again */
#define E_NOTHING	(EVENTS + 1)
/* Whoever sends stops until policyd has done all of its step. */
chan	ev = [0] of { byte };
bit	busy;		/* in the middle of such a step */

inline tell(e) {
	if
	:: full(news) -> news?_, _	/* events of one peer are coalesced */
	:: nfull(news) -> skip
	fi;
	news!e, with_peer;
	if
	:: link != L_UP -> with_peer = 0
	:: else -> skip
	fi
}

inline no_news() {
	do
	:: nempty(news) -> news?_, _
	:: empty(news) -> break
	od
}

/* All but the store is gone; the event that follows is made from that. */
inline restart() {
	due = 0;
	job = J_NONE;
	no_news();
	if
	:: state == S_ATTESTING -> event = E_RESTORE_ATTEST
	:: state == S_REVOKED -> event = E_RESTORE_REVOKE
	:: state == S_ATTESTFAILED -> event = E_RESTORE_FAIL
	:: state == S_NOTDETERMINED -> event = E_NOTHING
	:: else -> event = E_RESTORE_TRUST
	fi;
	state = S_NOTDETERMINED;
	restarted = 1
}

/* netd hears what policyd wants, and tells where a connection is. */
inline introduced() {
	if
	:: restarted && netd_up -> told = trusted
	:: else -> skip
	fi;
	if
	:: !told && link != L_NONE -> link = L_NONE; tell(E_LINK_DOWN)
	:: told && restarted && link == L_UP -> tell(E_LINK_UP)
	:: else -> skip
	fi;
	restarted = 0
}

proctype policyd()
{
	bit	restarted;

	do
	:: atomic { ev?event ->
		busy = 1;
		if
		:: event == E_RESTART -> restart()
		:: else -> skip
		fi;
		step();
		introduced();
		if
		:: state != S_CONNECTED -> matched = 0
		:: else -> skip
		fi;
		event = 0;
		busy = 0 }
	od
}

/* Of policyd, which lets none of its channels wait for ever. */
proctype reader()
{
	byte	e;
	bit	m;

	do
	:: atomic { news?e, m ->
		busy = 1;
		if
		:: e == E_LINK_UP -> matched = m
		:: else -> skip
		fi;
		ev!e;
		e = 0;
		m = 0 }
	od
}

proctype timers()
{
	do
	:: atomic { due -> busy = 1; due = 0; ev!E_DUE }
	od
}

proctype attestd_q()
{
	do
	:: atomic { attestq_up && netd_up && job == J_WAITING -> job = J_OPEN }
	:: atomic { job == J_OPEN ->
		busy = 1;
		job = J_NONE;
		if
		:: true ->		/* good, of the peer */
			have = have | TRUST;
			verdict = 1;
			ev!E_GOOD
		:: !calm -> ev!E_BAD
		:: !calm && trusted -> ev!E_UNPROVED
		:: !calm -> ev!E_UNREACHABLE
		:: !calm -> ev!E_JOB_TIMEOUT
		fi }
	:: atomic { !attestq_up -> attestq_up = 1 }
	od
}

proctype netd()
{
	do
	:: atomic { !netd_up ->
		busy = 1;
		netd_up = 1;
		told = trusted;
		busy = 0 }
	:: atomic { netd_up && told && link == L_NONE ->
		link = L_DIALS;
		with_peer = 0;
		tell(E_LINK_PROGRESS) }
	:: atomic { netd_up && told && link == L_DIALS ->
		if
		:: with_peer = 1
		:: !calm -> with_peer = 0
		fi;
		if
		:: with_peer ->		/* its certificate matches */
			link = L_UP;
			tell(E_LINK_UP)
		:: else ->
			link = L_NONE;
			tell(E_LINK_REFUSED)
		fi }
	od
}

proctype operator()
{
	do
	:: atomic { calm && eager && state == S_REVOKED -> ev!E_UNPROVISION }
	:: atomic { calm && eager && !wanted && state != S_REVOKED ->
		ev!E_PROVISION }
	:: atomic { !calm ->
		if
		:: ev!E_PROVISION
		:: ev!E_UNPROVISION
		:: ev!E_REVOKE
		fi }
	od
}

proctype world()
{
	do
	:: atomic { !calm -> calm = 1; break }
	:: atomic { !calm -> ev!E_INBOUND }
	:: atomic { !calm -> ev!E_POLICY }
	:: atomic { !calm -> ev!E_RESTART }
	:: atomic { !calm && trusted -> ev!E_EXPIRED }
	:: atomic { !calm && (state == S_PROVISIONED || state == S_INPROGRESS)
		-> ev!E_TIMEOUT }
	:: atomic { !calm && link == L_UP -> link = L_NONE; tell(E_LINK_DOWN) }
	:: atomic { !calm && attestq_up ->
		attestq_up = 0;
		if
		:: job == J_OPEN -> busy = 1; job = J_NONE; ev!E_ATTESTQ_LOST
		:: else -> skip
		fi }
	:: atomic { !calm && netd_up ->
		busy = 1;
		netd_up = 0;
		told = 0;
		link = L_NONE;
		with_peer = 0;
		no_news();
		ev!E_NETD_LOST }
	od
}

init {
	atomic {
		netd_up = 1;
		if
		:: listed = 1; have = LEAVE
		:: skip
		fi;
		if
		:: eager = 1
		:: skip
		fi;
		run policyd();
		run reader();
		run timers();
		run attestd_q();
		run netd();
		run operator();
		run world()
	}
}

/* Connected by our own verdict, over TLS with the one that it is about. */
ltl connected { [] (busy || state != S_CONNECTED ||
	((have & TRUST) == TRUST && verdict && matched)) }
/* Whoever is wanted is attested now, or has a timer; whoever is trusted is
   known to netd, which dials, and nobody else is. */
ltl no_retry_lost { [] (busy || ((wanted -> pending) &&
	(netd_up -> (told == trusted)))) }
/* No state is the last one: it comes back by itself where it is wanted, and
   by an operator from every other one. */
ltl comes_back { [] ((calm && (wanted || eager)) -> <> (state == S_CONNECTED)) }
