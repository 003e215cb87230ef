//! The kernel's sysctls (net.netfilter.nf_conntrack_*) as settings, with the kernel's defaults.

/// TCP states, numbered as netlink does (nf_conntrack_tcp.h).
pub mod tcp_state {
    pub const NONE: u8 = 0;
    pub const SYN_SENT: u8 = 1;
    pub const SYN_RECV: u8 = 2;
    pub const ESTABLISHED: u8 = 3;
    pub const FIN_WAIT: u8 = 4;
    pub const CLOSE_WAIT: u8 = 5;
    pub const LAST_ACK: u8 = 6;
    pub const TIME_WAIT: u8 = 7;
    pub const CLOSE: u8 = 8;
    pub const SYN_SENT2: u8 = 9;
}

/// What the engine does; times in seconds.
///
/// Source: Documentation/networking/nf_conntrack-sysctl.rst, kernel 6.18.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Seconds by TCP state number.
    pub tcp_timeouts: [u32; 10],
    pub tcp_timeout_max_retrans: u32,
    pub tcp_timeout_unacknowledged: u32,
    pub tcp_loose: bool,
    pub tcp_be_liberal: bool,
    pub tcp_max_retrans: u8,
    pub tcp_ignore_invalid_rst: bool,
    pub udp_timeout: u32,
    pub udp_timeout_stream: u32,
    pub icmp_timeout: u32,
    pub icmpv6_timeout: u32,
    /// Seconds by SCTP state number.
    pub sctp_timeouts: [u32; 9],
    pub gre_timeout: u32,
    pub gre_timeout_stream: u32,
    pub generic_timeout: u32,
    /// Verify checksums; off for captures made on the sending host, before its card filled them in.
    pub checksum: bool,
    /// Count packets and bytes.
    pub acct: bool,
    /// Note start, end and event times.
    pub timestamp: bool,
    /// Entries that the table holds.
    pub max_entries: u32,
    /// Expectations that the table holds.
    pub expect_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            //             NONE SS   SR  ES       FW   CW  LA  TW   CL  S2
            tcp_timeouts: [0, 120, 60, 432_000, 120, 60, 30, 120, 10, 120],
            tcp_timeout_max_retrans: 300,
            tcp_timeout_unacknowledged: 300,
            tcp_loose: true,
            tcp_be_liberal: false,
            tcp_max_retrans: 3,
            tcp_ignore_invalid_rst: false,
            udp_timeout: 30,
            udp_timeout_stream: 120,
            icmp_timeout: 30,
            icmpv6_timeout: 30,
            sctp_timeouts: [10, 10, 3, 3, 210, 3, 3, 3, 30],
            gre_timeout: 30,
            gre_timeout_stream: 180,
            generic_timeout: 600,
            checksum: true,
            acct: false,
            timestamp: false,
            max_entries: 1 << 20,
            expect_max: 4096,
        }
    }
}

/// Why a setting was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingError {
    /// There is no such setting.
    Unknown,
    /// It exists and takes other values.
    BadValue,
}

impl Settings {
    /// Every setting's name: the sysctl's, without `net.netfilter.nf_conntrack_`.
    pub const NAMES: [&'static str; 41] = [
        "acct",
        "checksum",
        "expect_max",
        "generic_timeout",
        "gre_timeout",
        "gre_timeout_stream",
        "icmp_timeout",
        "icmpv6_timeout",
        "max",
        "sctp_timeout_closed",
        "sctp_timeout_cookie_echoed",
        "sctp_timeout_cookie_wait",
        "sctp_timeout_established",
        "sctp_timeout_heartbeat_sent",
        "sctp_timeout_shutdown_ack_sent",
        "sctp_timeout_shutdown_recd",
        "sctp_timeout_shutdown_sent",
        "tcp_be_liberal",
        "tcp_ignore_invalid_rst",
        "tcp_loose",
        "tcp_max_retrans",
        "tcp_timeout_close",
        "tcp_timeout_close_wait",
        "tcp_timeout_established",
        "tcp_timeout_fin_wait",
        "tcp_timeout_last_ack",
        "tcp_timeout_max_retrans",
        "tcp_timeout_syn_recv",
        "tcp_timeout_syn_sent",
        "tcp_timeout_time_wait",
        "tcp_timeout_unacknowledged",
        "timestamp",
        "udp_timeout",
        "udp_timeout_stream",
        // Settings of the kernel that change nothing here; accepted, so that a gateway's list loads.
        "buckets",
        "count",
        "events",
        "log_invalid",
        "frag6_high_thresh",
        "frag6_low_thresh",
        "frag6_timeout",
    ];

    /// Change one setting; `name` may carry `net.netfilter.`, `nf_conntrack_`, or neither.
    ///
    /// # Errors
    /// [`SettingError`]: there is none of that name, or it takes other values.
    pub fn set(&mut self, name: &str, value: u64) -> Result<(), SettingError> {
        use tcp_state::*;
        let name = name.strip_prefix("net.netfilter.").unwrap_or(name);
        let name = name.strip_prefix("nf_conntrack_").unwrap_or(name);
        let seconds = u32::try_from(value).map_err(|_| SettingError::BadValue);
        let flag = match value {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(SettingError::BadValue),
        };
        let tcp = |state: u8| usize::from(state);
        match name {
            "acct" => self.acct = flag?,
            "checksum" => self.checksum = flag?,
            "timestamp" => self.timestamp = flag?,
            "tcp_loose" => self.tcp_loose = value != 0,
            "tcp_be_liberal" => self.tcp_be_liberal = value != 0,
            "tcp_ignore_invalid_rst" => self.tcp_ignore_invalid_rst = flag?,
            "tcp_max_retrans" => self.tcp_max_retrans = u8::try_from(value).map_err(|_| SettingError::BadValue)?,
            "expect_max" => self.expect_max = seconds?,
            "max" => self.max_entries = seconds?,
            "generic_timeout" => self.generic_timeout = seconds?,
            "gre_timeout" => self.gre_timeout = seconds?,
            "gre_timeout_stream" => self.gre_timeout_stream = seconds?,
            "icmp_timeout" => self.icmp_timeout = seconds?,
            "icmpv6_timeout" => self.icmpv6_timeout = seconds?,
            "udp_timeout" => self.udp_timeout = seconds?,
            "udp_timeout_stream" => self.udp_timeout_stream = seconds?,
            "tcp_timeout_max_retrans" => self.tcp_timeout_max_retrans = seconds?,
            "tcp_timeout_unacknowledged" => self.tcp_timeout_unacknowledged = seconds?,
            "tcp_timeout_syn_sent" => put(&mut self.tcp_timeouts, tcp(SYN_SENT), seconds?),
            "tcp_timeout_syn_recv" => put(&mut self.tcp_timeouts, tcp(SYN_RECV), seconds?),
            "tcp_timeout_established" => put(&mut self.tcp_timeouts, tcp(ESTABLISHED), seconds?),
            "tcp_timeout_fin_wait" => put(&mut self.tcp_timeouts, tcp(FIN_WAIT), seconds?),
            "tcp_timeout_close_wait" => put(&mut self.tcp_timeouts, tcp(CLOSE_WAIT), seconds?),
            "tcp_timeout_last_ack" => put(&mut self.tcp_timeouts, tcp(LAST_ACK), seconds?),
            "tcp_timeout_time_wait" => put(&mut self.tcp_timeouts, tcp(TIME_WAIT), seconds?),
            "tcp_timeout_close" => put(&mut self.tcp_timeouts, tcp(CLOSE), seconds?),
            "sctp_timeout_closed" => put(&mut self.sctp_timeouts, 1, seconds?),
            "sctp_timeout_cookie_wait" => put(&mut self.sctp_timeouts, 2, seconds?),
            "sctp_timeout_cookie_echoed" => put(&mut self.sctp_timeouts, 3, seconds?),
            "sctp_timeout_established" => put(&mut self.sctp_timeouts, 4, seconds?),
            "sctp_timeout_shutdown_sent" => put(&mut self.sctp_timeouts, 5, seconds?),
            "sctp_timeout_shutdown_recd" => put(&mut self.sctp_timeouts, 6, seconds?),
            "sctp_timeout_shutdown_ack_sent" => put(&mut self.sctp_timeouts, 7, seconds?),
            "sctp_timeout_heartbeat_sent" => put(&mut self.sctp_timeouts, 8, seconds?),
            "buckets" | "count" | "events" | "log_invalid" | "frag6_high_thresh" | "frag6_low_thresh"
            | "frag6_timeout" => {}
            _ => return Err(SettingError::Unknown),
        }
        Ok(())
    }
}

fn put<const N: usize>(table: &mut [u32; N], at: usize, value: u32) {
    if let Some(field) = table.get_mut(at) {
        *field = value;
    }
}
