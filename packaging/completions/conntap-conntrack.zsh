#compdef conntap-conntrack
# made by scripts/packaging.py
_arguments -s \
  '-L[list entries]::table:(expect conntrack dying unconfirmed)' \
  '--dump[list entries]::table:(expect conntrack dying unconfirmed)' \
  '-G[show one entry]::table:(expect conntrack dying unconfirmed)' \
  '--get[show one entry]::table:(expect conntrack dying unconfirmed)' \
  '-D[delete every entry that matches]::table:(expect conntrack dying unconfirmed)' \
  '--delete[delete every entry that matches]::table:(expect conntrack dying unconfirmed)' \
  '-I[create an entry]::table:(expect conntrack dying unconfirmed)' \
  '--create[create an entry]::table:(expect conntrack dying unconfirmed)' \
  '-A[create an entry, or change it when it exists (conntrack only)]::table:(expect conntrack dying unconfirmed)' \
  '--add[create an entry, or change it when it exists (conntrack only)]::table:(expect conntrack dying unconfirmed)' \
  '-U[change every entry that matches (conntrack only)]::table:(expect conntrack dying unconfirmed)' \
  '--update[change every entry that matches (conntrack only)]::table:(expect conntrack dying unconfirmed)' \
  '-E[show events as they happen]::table:(expect conntrack dying unconfirmed)' \
  '--event[show events as they happen]::table:(expect conntrack dying unconfirmed)' \
  '-F[empty the table]::table:(expect conntrack dying unconfirmed)' \
  '--flush[empty the table]::table:(expect conntrack dying unconfirmed)' \
  '-C[show the number of entries]::table:(expect conntrack dying unconfirmed)' \
  '--counter[show the number of entries]::table:(expect conntrack dying unconfirmed)' \
  '-S[show the kernel'\''s statistics, one line per CPU]' \
  '--stats[show the kernel'\''s statistics, one line per CPU]' \
  '-h[show this text; with -p also the options of that protocol]' \
  '--help[show this text; with -p also the options of that protocol]' \
  '-V[show the version]' \
  '--version[show the version]' \
  '-s[original source]:ADDR/LEN:' \
  '--orig-src[original source]:ADDR/LEN:' \
  '--src[original source]:ADDR/LEN:' \
  '-d[its destination]:ADDR/LEN:' \
  '--orig-dst[its destination]:ADDR/LEN:' \
  '--dst[its destination]:ADDR/LEN:' \
  '-r[source of replies]:ADDR:' \
  '--reply-src[source of replies]:ADDR:' \
  '-q[destination of replies]:ADDR:' \
  '--reply-dst[destination of replies]:ADDR:' \
  '-p[protocol, e.g. tcp]:PROTO:(tcp udp udplite sctp dccp icmp icmpv6 gre)' \
  '--protonum[protocol, e.g. tcp]:PROTO:(tcp udp udplite sctp dccp icmp icmpv6 gre)' \
  '-t[time until it expires]:SECONDS:' \
  '--timeout[time until it expires]:SECONDS:' \
  '-u[ASSURED SEEN_REPLY UNSET FIXED_TIMEOUT EXPECTED OFFLOAD HW_OFFLOAD UNREPLIED; ! negates]:WORDS:(ASSURED SEEN_REPLY UNSET FIXED_TIMEOUT EXPECTED OFFLOAD HW_OFFLOAD UNREPLIED)' \
  '--status[ASSURED SEEN_REPLY UNSET FIXED_TIMEOUT EXPECTED OFFLOAD HW_OFFLOAD UNREPLIED; ! negates]:WORDS:(ASSURED SEEN_REPLY UNSET FIXED_TIMEOUT EXPECTED OFFLOAD HW_OFFLOAD UNREPLIED)' \
  '-z[zero the counters while listing]' \
  '--zero[zero the counters while listing]' \
  '-e[ALL NEW UPDATES DESTROY]:WORDS:(ALL NEW UPDATES DESTROY)' \
  '--event-mask[ALL NEW UPDATES DESTROY]:WORDS:(ALL NEW UPDATES DESTROY)' \
  '--tuple-src[expected source]:ADDR/LEN:' \
  '--tuple-dst[expected destination]:ADDR/LEN:' \
  '--mask-src[mask of the source]:ADDR:' \
  '--mask-dst[mask of the destination]:ADDR:' \
  '-a[ignored]:ADDR:' \
  '--nat-range[ignored]:ADDR:' \
  '-m[mark; with -U the new one]:VALUE/MASK:' \
  '--mark[mark; with -U the new one]:VALUE/MASK:' \
  '-c[security mark]:VALUE:' \
  '--secmark[security mark]:VALUE:' \
  '-i[identifier of the entry]:ID:' \
  '--id[identifier of the entry]:ID:' \
  '-f[address family]:ipv4|ipv6:(ipv4 ipv6)' \
  '--family[address family]:ipv4|ipv6:(ipv4 ipv6)' \
  '-n[source NAT]::ADDRPORT:' \
  '--src-nat[source NAT]::ADDRPORT:' \
  '-g[destination NAT]::ADDRPORT:' \
  '--dst-nat[destination NAT]::ADDRPORT:' \
  '-o[xml extended timestamp id ktimestamp labels userspace save]:WORDS:(xml extended timestamp id ktimestamp labels userspace save)' \
  '--output[xml extended timestamp id ktimestamp labels userspace save]:WORDS:(xml extended timestamp id ktimestamp labels userspace save)' \
  '-b[receive buffer for events]:BYTES:' \
  '--buffer-size[receive buffer for events]:BYTES:' \
  '-j[NAT of either kind]::ADDRPORT:' \
  '--any-nat[NAT of either kind]::ADDRPORT:' \
  '-w[zone]:ZONE:' \
  '--zone[zone]:ZONE:' \
  '-l[labels that must all be set]:NAMES:' \
  '--label[labels that must all be set]:NAMES:' \
  '--label-add[labels to set]:NAMES:' \
  '--label-del[labels to clear, or all]::NAMES:' \
  '--orig-zone[zone of the original direction]:ZONE:' \
  '--reply-zone[zone of the reply direction]:ZONE:' \
  '-M[names of labels (default /etc/xtables/connlabel.conf)]:FILE:_files' \
  '--labelmap[names of labels (default /etc/xtables/connlabel.conf)]:FILE:_files' \
  '--sport[original source port]:PORT:' \
  '--orig-port-src[original source port]:PORT:' \
  '--dport[original destination port]:PORT:' \
  '--orig-port-dst[original destination port]:PORT:' \
  '--reply-port-src[source port of replies]:PORT:' \
  '--reply-port-dst[destination port of replies]:PORT:' \
  '--mask-port-src[mask of the expected source port]:PORT:' \
  '--mask-port-dst[mask of the expected destination port]:PORT:' \
  '--state[state, e.g. ESTABLISHED]:STATE:(CLOSE CLOSED CLOSEREQ CLOSE_WAIT CLOSING COOKIE_ECHOED COOKIE_WAIT ESTABLISHED FIN_WAIT IGNORE INVALID LAST_ACK NONE OPEN PARTOPEN REQUEST RESPOND SHUTDOWN_ACK_SENT SHUTDOWN_RECD SHUTDOWN_SENT SYN_RECV SYN_SENT SYN_SENT2 TIMEWAIT TIME_WAIT)' \
  '--tuple-port-src[expected source port]:PORT:' \
  '--tuple-port-dst[expected destination port]:PORT:' \
  '--orig-vtag[verification tag]:TAG:' \
  '--reply-vtag[verification tag of replies]:TAG:' \
  '--role[role of the original source]:client|server:(client server)' \
  '--icmp-type[message type]:TYPE:' \
  '--icmp-code[message code]:CODE:' \
  '--icmp-id[identifier (of echo)]:ID:' \
  '--icmpv6-type[message type]:TYPE:' \
  '--icmpv6-code[message code]:CODE:' \
  '--icmpv6-id[identifier (of echo)]:ID:' \
  '--srckey[original source key]:KEY:' \
  '--orig-key-src[original source key]:KEY:' \
  '--dstkey[original destination key]:KEY:' \
  '--orig-key-dst[original destination key]:KEY:' \
  '--reply-key-src[source key of replies]:KEY:' \
  '--reply-key-dst[destination key of replies]:KEY:' \
  '--mask-key-src[mask of the expected source key]:KEY:' \
  '--mask-key-dst[mask of the expected destination key]:KEY:' \
  '--tuple-key-src[expected source key]:KEY:' \
  '--tuple-key-dst[expected destination key]:KEY:' \
  '-R[run the commands in a file]:file:_files'
