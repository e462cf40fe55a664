/*
 * Anything may happen to a peer, in any order, and any part of the evidence
 * may be missing: whoever is trusted has all of it.
 */
active proctype peer()
{
	byte	bits;

	do
	:: true ->
		select(event : 0 .. EVENTS - 1);
		select(bits : 0 .. BITS);
		if
		/* Evidence comes before its verdict, and from the store at
		   start. Without trust it does not stay. */
		:: !trusted && (event == E_GOOD || event == E_RESTORE_TRUST) ->
			have = bits
		:: else -> skip
		fi;
		atomic {
			step();
			due = 0;
			job = J_NONE;
			if
			:: !trusted -> have = have & LEAVE
			:: else -> skip
			fi
		}
	od
}

ltl evidence { [] (trusted -> (have & TRUST) == TRUST) }
