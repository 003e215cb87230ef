//! Captures on a veth pair, each test in a network namespace of its own.
//!
//! Needs the right to make one: as root, or under `python -m conntap.lab.sandbox -- cargo test -p conntap-sys`.
//! `… --test packet -- --ignored --nocapture` says how many packets a second are captured without a drop.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::process::Command;
use std::time::{Duration, Instant};

use conntap_core::packet::{decode, linktype};
use conntap_sys::clock::now_ns;
use conntap_sys::packet::{Capture, ChecksumState, Options, To};

/// Move this test's thread into a fresh network namespace with the veth pair `left` and `right`.
fn veth_pair() {
    // SAFETY: unshare takes no pointers.
    let done = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    assert_eq!(done, 0, "no right to make a network namespace: run under conntap.lab.sandbox");
    ip("link set lo up");
    ip("link add left address 02:00:00:00:00:01 type veth peer name right address 02:00:00:00:00:02");
    for end in ["left", "right"] {
        // No neighbour discovery: only what a test sends shall be heard.
        std::fs::write(format!("/proc/sys/net/ipv6/conf/{end}/disable_ipv6"), "1").unwrap();
        ip(&format!("link set {end} up"));
    }
}

fn ip(arguments: &str) -> String {
    let done = Command::new("ip").args(arguments.split_whitespace()).output().expect("ip (iproute2)");
    assert!(done.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// A packet socket that sends frames from `left`.
struct Sender(libc::c_int);

impl Sender {
    fn open() -> Self {
        // SAFETY: plain system calls; the address lives through the call.
        unsafe {
            let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0);
            assert!(fd >= 0);
            let mut address: libc::sockaddr_ll = std::mem::zeroed();
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_ifindex = libc::if_nametoindex(c"left".as_ptr()) as i32;
            let len = size_of_val(&address) as u32;
            assert_eq!(libc::bind(fd, (&raw const address).cast(), len), 0);
            Self(fd)
        }
    }

    fn send(&self, frame: &[u8]) {
        // SAFETY: pointer and length describe `frame`.
        let sent = unsafe { libc::send(self.0, frame.as_ptr().cast(), frame.len(), 0) };
        assert_eq!(sent, frame.len() as isize, "{}", std::io::Error::last_os_error());
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // SAFETY: the descriptor is this value's own.
        unsafe { libc::close(self.0) };
    }
}

/// An Ethernet frame with a UDP packet that carries a number.
fn frame(to: u8, tag: &[u8], number: u32) -> Vec<u8> {
    let addresses = [2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, 1];
    let ip = [0x45, 0, 0, 32, 0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0, 7, 0, 9, 0, 12, 0, 0];
    let mut frame = [&addresses[..], tag, &[8, 0], &ip, &number.to_be_bytes()].concat();
    let header = addresses.len() + tag.len() + 2;
    let sum: u32 = frame[header..header + 20].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    frame[header + 10..header + 12].copy_from_slice(&sum.to_be_bytes());
    frame
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Heard {
    bytes: Vec<u8>,
    original_len: u32,
    to: To,
    time_ns: i64,
    linktype: u16,
}

/// Everything that comes until nothing came for a tenth of a second.
fn hear(capture: &mut Capture) -> Vec<Heard> {
    let mut heard = Vec::new();
    while capture
        .receive(Duration::from_millis(100), |frame| {
            let (bytes, original_len) = (frame.bytes.to_vec(), frame.original_len);
            heard.push(Heard { bytes, original_len, to: frame.to, time_ns: frame.time_ns, linktype: frame.linktype });
        })
        .unwrap()
        > 0
    {}
    heard
}

fn on(interface: &str) -> Options<'_> {
    Options { interface: Some(interface), ring_bytes: 4 << 20, block_bytes: 1 << 18, ..Options::default() }
}

#[test]
fn frames_come_whole_in_order_and_with_their_time() {
    veth_pair();
    let mut capture = Capture::open(&on("right")).unwrap();
    let sender = Sender::open();
    let before = now_ns();
    (0..3000).for_each(|number| sender.send(&frame(2, &[], number)));
    let heard = hear(&mut capture);
    let sent: Vec<_> = (0..3000).map(|number| frame(2, &[], number)).collect();
    assert!(heard.iter().map(|it| &it.bytes).eq(&sent));
    assert!(heard.iter().all(|it| (before..now_ns()).contains(&it.time_ns)), "{before}");
    assert!(heard.iter().all(|it| (it.to, it.original_len, it.linktype) == (To::Host, 46, linktype::ETHERNET)));
    let counters = capture.counters().unwrap();
    assert_eq!((counters.packets, counters.dropped), (3000, 0));
    let packet = decode(heard[7].linktype, &heard[7].bytes, heard[7].original_len).unwrap();
    assert_eq!(packet.l4(), &sent[7][34..]);
}

#[test]
fn vlan_tags_are_back_in_their_place() {
    veth_pair();
    let mut capture = Capture::open(&on("right")).unwrap();
    let sender = Sender::open();
    let frames = [frame(2, &[0x81, 0, 0x20, 7], 1), frame(2, &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 7], 2), frame(2, &[], 3)];
    frames.iter().for_each(|frame| sender.send(frame));
    let heard = hear(&mut capture);
    assert_eq!(heard.iter().map(|it| it.bytes.clone()).collect::<Vec<_>>(), frames);
    assert!(heard.iter().all(|it| it.original_len as usize == it.bytes.len()));
}

#[test]
fn what_is_sent_is_heard_unless_it_is_not_wanted() {
    veth_pair();
    let mut both = Capture::open(&on("left")).unwrap();
    let mut incoming = Capture::open(&Options { ignore_outgoing: true, ..on("left") }).unwrap();
    let mut everywhere = Capture::open(&Options { interface: None, ..on("left") }).unwrap();
    Sender::open().send(&frame(2, &[], 1));
    let directions = |capture: &mut Capture| hear(capture).into_iter().map(|it| it.to).collect::<Vec<_>>();
    assert_eq!(directions(&mut both), [To::Outgoing]);
    assert_eq!(directions(&mut incoming), []);
    assert_eq!(directions(&mut everywhere), [To::Outgoing, To::Host], "on both ends");
}

#[test]
fn frames_for_others_are_told_apart() {
    veth_pair();
    let mut capture = Capture::open(&Options { promiscuous: true, ..on("right") }).unwrap();
    assert!(ip("-d link show right").contains("promiscuity 1"));
    let sender = Sender::open();
    sender.send(&frame(9, &[], 1));
    let mut broadcast = frame(2, &[], 2);
    broadcast[..6].fill(0xff);
    sender.send(&broadcast);
    let heard: Vec<_> = hear(&mut capture).into_iter().map(|it| it.to).collect();
    assert_eq!(heard, [To::Other, To::Broadcast]);
    drop(capture);
    assert!(ip("-d link show right").contains("promiscuity 0"));
}

#[test]
fn a_full_ring_drops_and_says_how_many() {
    veth_pair();
    let options = Options { ring_bytes: 1 << 17, block_bytes: 1 << 16, ..on("right") };
    let mut capture = Capture::open(&options).unwrap();
    let sender = Sender::open();
    (0..5000).for_each(|number| sender.send(&frame(2, &[], number)));
    let heard = hear(&mut capture);
    let counters = capture.counters().unwrap();
    assert_eq!(counters.packets, 5000);
    assert_eq!(counters.dropped, 5000 - heard.len() as u64);
    assert!(counters.dropped > 0 && !heard.is_empty(), "{counters:?}");
    sender.send(&frame(2, &[], 7));
    assert_eq!(hear(&mut capture).len(), 1, "it goes on");
    assert_eq!(capture.counters().unwrap().packets, 5001, "counted on, not anew");
}

#[test]
fn a_snap_length_cuts_and_the_length_stays() {
    veth_pair();
    let mut capture = Capture::open(&Options { snaplen: 40, ..on("right") }).unwrap();
    Sender::open().send(&frame(2, &[], 1));
    let heard = hear(&mut capture);
    assert_eq!((heard[0].bytes.len(), heard[0].original_len), (40, 46));
    let packet = decode(heard[0].linktype, &heard[0].bytes, heard[0].original_len).unwrap();
    assert!(packet.is_cut());
}

#[test]
fn the_loopback_device_gives_each_packet_once_and_checksums_are_pending() {
    veth_pair();
    let mut capture = Capture::open(&on("lo")).unwrap();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"to myself", socket.local_addr().unwrap()).unwrap();
    let mut heard = Vec::new();
    while capture.receive(Duration::from_millis(100), |frame| heard.push((frame.to, frame.checksum))).unwrap() > 0 {}
    assert_eq!(heard, [(To::Host, ChecksumState::Pending)]);
}

/// A device of which this program is the other end; None where the system does not let programs have one.
fn tunnel() -> Option<std::fs::File> {
    use std::os::fd::AsRawFd;
    let file = std::fs::File::options().read(true).write(true).open("/dev/net/tun").ok()?;
    // SAFETY: ifreq is plain integers; the call reads and writes one that lives through it.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(b"tunnel") {
            *to = *from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as i16;
        assert_eq!(libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request), 0);
    }
    std::fs::write("/proc/sys/net/ipv6/conf/tunnel/disable_ipv6", "1").unwrap();
    ip("link set tunnel up");
    Some(file)
}

#[test]
fn a_device_without_link_header_gives_raw_ip() {
    veth_pair();
    let Some(mut file) = tunnel() else {
        eprintln!("skipped: /dev/net/tun cannot be opened");
        return;
    };
    let mut capture = Capture::open(&on("tunnel")).unwrap();
    let packet = &frame(2, &[], 7)[14..];
    std::io::Write::write_all(&mut file, packet).unwrap();
    let heard = hear(&mut capture);
    assert_eq!((heard[0].linktype, heard[0].to, &heard[0].bytes[..]), (linktype::RAW, To::Host, packet));
    assert!(decode(heard[0].linktype, &heard[0].bytes, heard[0].original_len).is_ok());
}

#[test]
fn an_idle_capture_returns_after_its_timeout() {
    veth_pair();
    let mut capture = Capture::open(&on("right")).unwrap();
    let start = Instant::now();
    assert_eq!(capture.receive(Duration::from_millis(30), |_| {}).unwrap(), 0);
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert_eq!(capture.receive(Duration::ZERO, |_| {}).unwrap(), 0);
}

#[test]
fn an_interface_that_goes_down_is_said_once_and_heard_again_when_it_is_up() {
    veth_pair();
    let mut capture = Capture::open(&on("right")).unwrap();
    ip("link set right down");
    let error = capture.receive(Duration::from_secs(1), |_| {}).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENETDOWN));
    ip("link set right up");
    let sender = Sender::open();
    let deadline = Instant::now() + Duration::from_secs(5);
    while hear(&mut capture).is_empty() {
        assert!(Instant::now() < deadline);
        sender.send(&frame(2, &[], 1));
    }
}

#[test]
fn what_cannot_be_is_refused() {
    veth_pair();
    let refused = |options: &Options<'_>| Capture::open(options).unwrap_err();
    assert_eq!(refused(&on("nowhere")).raw_os_error(), Some(libc::ENODEV));
    assert_eq!(
        refused(&Options { interface: None, promiscuous: true, ..on("left") }).kind(),
        std::io::ErrorKind::InvalidInput
    );
    assert_eq!(refused(&Options { block_bytes: 5000, ..on("left") }).kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(refused(&Options { ring_bytes: 0, ..on("left") }).kind(), std::io::ErrorKind::InvalidInput);
}

/// Packets a second, sent for three seconds from a thread of its own, and how many of them were dropped.
#[test]
#[ignore = "measures"]
fn packets_a_second() {
    veth_pair();
    // On both ends each packet is heard twice, so that the ring takes more than a single sender can send.
    let cases = [("right", 200_000), ("right", 500_000), ("right", u64::MAX), ("both ends", u64::MAX)];
    for (what, rate) in cases {
        let interface = Some(what).filter(|what| *what == "right");
        let mut capture = Capture::open(&Options { interface, ..Options::default() }).unwrap();
        let (mut heard, mut bytes) = (0_u64, 0_u64);
        let sender = Sender::open();
        let sent = std::thread::scope(|scope| {
            let thread = scope.spawn(|| flood(&sender, rate, Duration::from_secs(3)));
            let mut idle = false;
            while !(idle && thread.is_finished()) {
                let count = capture
                    .receive(Duration::from_millis(50), |frame| {
                        heard += 1;
                        bytes +=
                            decode(frame.linktype, frame.bytes, frame.original_len).map_or(0, |it| it.total_len.into());
                    })
                    .unwrap();
                idle = count == 0;
            }
            thread.join().unwrap()
        });
        let counters = capture.counters().unwrap();
        println!(
            "{what:<9} {:>9.0} packets/s, {heard} of {} heard ({bytes} bytes), {} dropped",
            counters.packets as f64 / sent.1.as_secs_f64(),
            counters.packets,
            counters.dropped
        );
    }
}

/// Send so many frames a second; how many it were, and in which time.
fn flood(sender: &Sender, rate: u64, time: Duration) -> (u64, Duration) {
    const BATCH: u64 = 64;
    let frame = frame(2, &[], 7);
    let mut vector = libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
    // SAFETY: mmsghdr is plain integers and pointers; all zero is a valid value.
    let mut messages: Vec<libc::mmsghdr> = (0..BATCH).map(|_| unsafe { std::mem::zeroed() }).collect();
    for message in &mut messages {
        message.msg_hdr.msg_iov = &raw mut vector;
        message.msg_hdr.msg_iovlen = 1;
    }
    let (start, mut sent) = (Instant::now(), 0_u64);
    while start.elapsed() < time {
        if rate != u64::MAX && sent > rate * start.elapsed().as_micros() as u64 / 1_000_000 {
            std::hint::spin_loop();
            continue;
        }
        // SAFETY: the messages point to `vector` and that to `frame`; all live through the call.
        let done = unsafe { libc::sendmmsg(sender.0, messages.as_mut_ptr(), BATCH as u32, 0) };
        sent += u64::try_from(done).unwrap_or(0);
    }
    (sent, start.elapsed())
}
