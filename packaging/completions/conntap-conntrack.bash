# bash completion of conntap-conntrack; made by scripts/packaging.py
_conntap_conntrack() {
  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" words head=""
  local every='--dump --get --delete --create --add --update --event --flush --counter --stats --help --version --orig-src --src --orig-dst --dst --reply-src --reply-dst --protonum --timeout --status --zero --event-mask --tuple-src --tuple-dst --mask-src --mask-dst --nat-range --mark --secmark --id --family --src-nat --dst-nat --output --buffer-size --any-nat --zone --label --label-add --label-del --orig-zone --reply-zone --labelmap --sport --orig-port-src --dport --orig-port-dst --reply-port-src --reply-port-dst --mask-port-src --mask-port-dst --state --tuple-port-src --tuple-port-dst --orig-vtag --reply-vtag --role --icmp-type --icmp-code --icmp-id --icmpv6-type --icmpv6-code --icmpv6-id --srckey --orig-key-src --dstkey --orig-key-dst --reply-key-src --reply-key-dst --mask-key-src --mask-key-dst --tuple-key-src --tuple-key-dst -R --load-file'
  [[ "$current" == -* ]] && previous=""
  case "$previous" in
    -L|--dump) words='expect conntrack dying unconfirmed' ;;
    -G|--get) words='expect conntrack dying unconfirmed' ;;
    -D|--delete) words='expect conntrack dying unconfirmed' ;;
    -I|--create) words='expect conntrack dying unconfirmed' ;;
    -A|--add) words='expect conntrack dying unconfirmed' ;;
    -U|--update) words='expect conntrack dying unconfirmed' ;;
    -E|--event) words='expect conntrack dying unconfirmed' ;;
    -F|--flush) words='expect conntrack dying unconfirmed' ;;
    -C|--counter) words='expect conntrack dying unconfirmed' ;;
    -p|--protonum) words='tcp udp udplite sctp dccp icmp icmpv6 gre' ;;
    -u|--status) words='ASSURED SEEN_REPLY UNSET FIXED_TIMEOUT EXPECTED OFFLOAD HW_OFFLOAD UNREPLIED' ;;
    -e|--event-mask) words='ALL NEW UPDATES DESTROY' ;;
    -f|--family) words='ipv4 ipv6' ;;
    -o|--output) words='xml extended timestamp id ktimestamp labels userspace save' ;;
    --state) words='CLOSE CLOSED CLOSEREQ CLOSE_WAIT CLOSING COOKIE_ECHOED COOKIE_WAIT ESTABLISHED FIN_WAIT IGNORE INVALID LAST_ACK NONE OPEN PARTOPEN REQUEST RESPOND SHUTDOWN_ACK_SENT SHUTDOWN_RECD SHUTDOWN_SENT SYN_RECV SYN_SENT SYN_SENT2 TIMEWAIT TIME_WAIT' ;;
    --role) words='client server' ;;
    -M|--labelmap|-R|--load-file)
      mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    *) words="$every" ;;
  esac
  # Lists are joined by commas: complete the last word only.
  if [[ "$current" == *,* ]]; then head="${current%,*},"; current="${current##*,}"; fi
  mapfile -t COMPREPLY < <(compgen -P "$head" -W "$words" -- "$current")
}
complete -F _conntap_conntrack conntap-conntrack
