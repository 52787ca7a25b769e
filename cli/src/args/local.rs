//! The arguments of `bakehouse local`.

use std::{net::SocketAddr, path::PathBuf};

use bakehouse_protocol::{Region, spec::Architecture};
use clap::{Args, Subcommand, ValueEnum};

use super::listing::Listing;

#[derive(Debug, Args)]
pub(crate) struct Local {
    #[command(subcommand)]
    pub(crate) verb: LocalVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LocalVerb {
    /// List the embedded cloud's images.
    #[command(after_help = "Example:\n  bakehouse local images --json | jq -r '.[].id'")]
    Images(Listing),
    /// Bring a disk in as an image, to bake others from.
    #[command(after_help = "\
Example:
  bakehouse local import debian-12-generic-amd64.qcow2 --name debian-12")]
    Import(Import),
    /// Write an image's root disk to a file.
    #[command(after_help = "\
Examples:
  bakehouse local export ami-0123456789abcdef0 web.raw
  bakehouse local export web-2026-01-01 web.qcow2")]
    Export(Export),
    /// Remove an image and its snapshots.
    #[command(after_help = "Example:\n  bakehouse local rm ami-0123456789abcdef0")]
    Rm(Rm),
    /// Serve the embedded cloud by EC2's protocol, for the AWS CLI, SDKs and Packer, until Ctrl-C.
    #[command(after_help = "\
It prints the lines to paste into the shell that the clients run in. Any credentials will do.

Examples:
  sudo bakehouse local serve
  sudo bakehouse local serve --devices --imds 127.0.0.1:8777")]
    Serve(Serve),
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where to serve EC2; port 0 takes one that is free.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8776")]
    pub(crate) listen: SocketAddr,
    /// Serve the instance metadata at an address of their own, too; they are always under /latest/ where EC2 is.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) imds: Option<SocketAddr>,
    /// Answer questions for metadata without a token, too (version 1).
    #[arg(long)]
    pub(crate) imds_v1: bool,
    /// Show attached volumes by the names of their attachments, as /dev/xvdf and /dev/xvdf1. Needs root.
    #[arg(long)]
    pub(crate) devices: bool,
    /// For tests: serve the calls so far, faults to inject and events under /_bakehouse/.
    #[arg(long)]
    pub(crate) test_api: bool,
    /// The region that this machine is in [default: $AWS_REGION, else $AWS_DEFAULT_REGION, else us-east-1].
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<Region>,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// A raw disk (a whole disk with a partition table, or one file system), or a qcow2 one (that needs qemu-img).
    #[arg(value_name = "DISK")]
    pub(crate) disk: PathBuf,
    /// The image's name, unique in its region.
    #[arg(long)]
    pub(crate) name: String,
    /// The processor architecture [default: this machine's].
    #[arg(long, value_enum)]
    pub(crate) arch: Option<Arch>,
    /// Where the image appears [default: $AWS_REGION, else $AWS_DEFAULT_REGION, else us-east-1].
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<Region>,
    /// The name of the root device in the image's mappings.
    #[arg(long, value_name = "NAME", default_value = "/dev/xvda")]
    pub(crate) root_device_name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The image: its id, or its name.
    pub(crate) image: String,
    /// The file to write: raw, or qcow2 if it ends in `.qcow2` (that needs qemu-img). One that is there is replaced.
    pub(crate) file: PathBuf,
    /// Look in this region only.
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<Region>,
}

#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// The image: its id, or its name.
    pub(crate) image: String,
    /// Look in this region only.
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<Region>,
}

/// The architectures that the local agent's hosts may have.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Arch {
    #[value(name = "x86_64", alias = "amd64")]
    X86_64,
    #[value(name = "arm64", alias = "aarch64")]
    Arm64,
}

impl From<Arch> for Architecture {
    fn from(arch: Arch) -> Self {
        match arch {
            Arch::X86_64 => Self::X86_64,
            Arch::Arm64 => Self::Arm64,
        }
    }
}
