"""Rule sets of nftables and iptables: read, and followed as packets follow them.

rules = read_nft(text) | read_iptables(save_text, nfproto=4)
answer = follow(rules, Asked("forward", 4, iifname="wan", oifname="lan", ct_state="related", ct_helper="irc"))
"""
