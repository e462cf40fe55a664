/*
 * What the acts of peer_act.c do, as far as the rules speak of it: evidence,
 * the timer of the next attestation, the attestation, and what netd knows.
 */
bit	due;		/* p->due: a timer for the next attestation */
byte	job;		/* of the peer */
#define J_NONE		0
#define J_WAITING	1	/* in line for a free one, or for attestd */
#define J_OPEN		2
bit	listed;		/* policy lets it pair without being asked for */
bit	told;		/* netd has its anchor */
bit	netd_up;	/* nobody is told while it is away; net_up() tells */
bit	verdict;	/* by us, of the peer's own evidence; for the rules */

inline job_want() {
	if
	:: job == J_NONE -> job = J_WAITING
	:: else -> skip
	fi
}

inline leave() {
	if
	:: listed -> have = have | LEAVE
	:: else -> skip
	fi
}

inline act_none() {
	skip
}

inline act_attest() {
	if
	:: event == E_PROVISION || event == E_INBOUND -> leave()
	:: else -> skip
	fi;
	due = 0;
	job_want()
}

inline act_again() {
	due = 0;
	job_want()
}

inline act_hasten() {
	if
	:: job != J_OPEN -> due = 1
	:: true -> skip			/* too soon after the last one */
	fi
}

inline act_retry() {
	due = 1
}

inline act_seldom() {
	if
	:: have & LEAVE -> due = 1
	:: else -> skip
	fi
}

inline act_refuse() {
	have = have & LEAVE;
	verdict = 0;
	act_seldom()
}

inline act_restore() {
	due = 1;
	told = netd_up
}

inline act_trust() {
	due = 1;
	told = netd_up
}

inline act_distrust() {
	have = have & LEAVE;
	verdict = 0;
	told = 0;
	act_seldom()
}

inline act_up() {
	if
	:: due = 1
	:: skip
	fi
}

inline act_down() {
	skip
}

inline act_doubt() {
	if
	:: job == J_NONE -> due = 1
	:: skip
	fi
}

inline act_forget() {
	have = 0;			/* and LEAVE, until somebody asks */
	verdict = 0;
	told = 0;
	job = J_NONE;
	due = 0
}

inline act_revoke() {
	act_forget()
}
