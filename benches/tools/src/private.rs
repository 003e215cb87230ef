//! Refuses to touch the machine's own connection tracking.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::Outcome;

/// Writable by its owner only in the machine's own network namespace, 0444 in every other.
const LIMIT: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

/// An error unless this network namespace is one that somebody made.
pub fn require() -> Outcome {
    let metadata = fs::metadata(LIMIT).map_err(|error| format!("{LIMIT}: {error}"))?;
    if metadata.permissions().mode() & 0o200 != 0 {
        return Err("this is the machine's own network namespace; run it below `python -m conntap.lab.sandbox`".into());
    }
    Ok(())
}
