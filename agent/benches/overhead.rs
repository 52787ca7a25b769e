//! The agent's own time for a job without steps, on ext4 in a sparse image of 2 GiB: `cargo bench -p bakehouse-agent`,
//! as root, with busybox-static installed. Also its peak of resident memory.

fn main() {}
