/*
 * The control socket: rows of JSON for provctl(8).
 *
 * Every answer is CTL_ROW events, then DONE or REFUSED. A row is one JSON
 * object whose member "row" names its type. Members are never taken away and
 * never change their meaning; new ones may be added. A member that is not
 * known is null. Kinds:
 *
 *   str    string                  num    number
 *   bool   true, false             time   string, RFC 3339 UTC, "2026-11-26T14:00:00Z"
 *   hex    lower-case hex string   id     hex of a node id, 40 digits
 *   why    {"code": str, "text": str, "remedy": str, "field": str or null,
 *           "expected": str or null, "seen": str or null}
 *
 * node         status        node id|null, name str, developer bool, catalogue hex,
 *                            started time, state str (ready, starting, degraded)
 * daemon       status        role str, state str (absent, greeted, ready), pid num|null,
 *                            uid num|null, developer bool, generation num (how often it
 *                            greeted), since time|null, offences num, log_level num
 * keyd         status        backend str (tpm, sealed, soft), condition why|null,
 *                            manufacturer str, firmware str, keys num, counter bool
 * clock        status        time time, floor time, unset bool
 * peers        status        total num, provisioned num, connected num, attesting num,
 *                            failed num, revoked num
 * trail        status        sequence num, checkpoint time|null, counter num, uncovered num,
 *                            condition why|null
 * counter      status        role str, reason why, count num
 * warning      status        about str (what it is about: "keyd", "clock", a peer's name),
 *                            reason why
 *
 * neighbour    neighbours,   neighbour num, name str, chassis str, chassis_subtype num,
 *              monitor       port str, port_subtype num, ttl num, address4 str|null,
 *                            address6 str|null, heard time, peer str|null (the peer
 *                            of that name), event str (heard; monitor: also gone)
 *
 * peer         peer list,    name str, origin str (configuration, operator, neighbour),
 *              peer show,    state str (NotDetermined, Attesting, Provisioned, InProgress,
 *              peer add,     Connected, NotConnected, AttestationFailed, Revoked),
 *              provision,    provisioned bool, connected str (NotDetermined, InProgress,
 *              unprovision,  Connected, NotConnected), since time, node id|null (proved),
 *              revoke        identity id|null, serial str|null (listed),
 *                            address str|null, address_from str|null (configuration,
 *                            operator, lldp), attesting bool (a job is running),
 *                            attested time|null, expires time|null (when the evidence
 *                            is too old), next time|null (when the next attempt is due),
 *                            attempts num (since the last good one), shift num (seconds),
 *                            reason why|null (why it is not trusted or not connected),
 *                            warning why|null (such as: no reference values)
 * evidence     peer show     peer str, time time, version str ("1.3"), algorithm str
 *                            ("P-256/SHA-256"), node id, serial str, subject str, root hex
 *                            (SHA-256), not_before time, not_after time, anchor hex (SHA-256)
 * step         peer show,    peer str, job num, step num, name str, detail str, time time
 *              provision,
 *              monitor
 * measurement  peer show     peer str, index num, type num, kind str, raw bool, value hex,
 *                            judged str (equal, baseline, ignored, differs, unjudged)
 * link         peer show,    peer str, state str (none, in progress, connected), dialled
 *              monitor       bool, address str|null, reason why|null, since time
 * transition   provision,    peer str, from str, to str, event str, cause str, reason
 *              monitor       why|null, time time
 * lost         monitor       count num (rows that this reader was too slow for)
 *
 * identity     identity      node id|null, name str, algorithm str, state str
 *              show          (ready, waiting), reason why|null
 * key          identity      label str, purpose str, algorithm str, key num
 *              show
 * certificate  identity      use str (node-ca, spdm-leaf, tls-leaf, slot-0), position num,
 *              show,         subject str, issuer str, serial hex, not_before time,
 *              install       not_after time, sha256 hex, pem str
 * csr          identity csr  pem str
 *
 * reference    reference     peer str, set str (accepted, proposed, file, baseline),
 *              show, learn,  index num, type num, kind str, raw bool, digest hex (SHA-256
 *              accept        of a raw value, else the value itself), ignore bool, time time
 *
 * audit        audit show,   sequence num, time time, kind str (start, operator, transition,
 *              monitor       verdict, refusal, cert, key, offence, clock), subject str|null
 *                            (a peer's or a daemon's name), reason why|null, text str,
 *                            hash hex
 * verify       audit verify  records num, sequence num|null (of what was found), checkpoints
 *                            num, uncovered num (records after the last checkpoint), counter
 *                            num, tpm_counter num|null, reason why|null (null: it is whole)
 *
 * explain      explain peer  peer str, state str, text str (one sentence: why it is so),
 *                            reason why|null, warning why|null, confirm id|null (the id
 *                            that 'provctl provision NAME --identity' would confirm)
 *
 * provision --wait gives step and transition rows as they happen and ends with
 * a peer row. monitor never ends by itself. log level gives no row, peer
 * remove none.
 */
