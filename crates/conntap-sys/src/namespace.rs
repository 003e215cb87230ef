//! Work in another network namespace without moving the calling thread.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

/// A network namespace, held open.
#[derive(Debug)]
pub struct Namespace(File);

impl Namespace {
    /// Open by path: `/run/netns/NAME`, `/proc/PID/ns/net`.
    pub fn open(path: &Path) -> io::Result<Self> {
        File::open(path).map(Self)
    }

    /// Run `work` on a thread of its own that has entered this namespace. Sockets made there stay there.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_ADMIN in the user namespaces concerned; EINVAL when the file is no network namespace.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        let fd = self.0.as_raw_fd();
        let enter_and_work = || {
            // SAFETY: setns takes no pointers; `fd` is open for as long as `self` is borrowed.
            if unsafe { libc::setns(fd, libc::CLONE_NEWNET) } != 0 {
                return Err(io::Error::last_os_error());
            }
            work()
        };
        std::thread::scope(|scope| {
            let worker =
                std::thread::Builder::new().name("conntap-netns".into()).spawn_scoped(scope, enter_and_work)?;
            worker.join().unwrap_or_else(|_| Err(io::Error::other("the namespace thread panicked")))
        })
    }
}
