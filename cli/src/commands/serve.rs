//! `bakehouse local serve`: serves the embedded cloud by EC2's protocol.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use bakehouse_controller::{clock::WallClock, ports::Clock as _};
use bakehouse_localcloud::http::{Imds, Metadata, Server, Settings};
use bakehouse_localcloud::{LocalCloud, disks};
use bakehouse_protocol::{Region, Timestamp};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use super::notes::note_unknown;
use crate::{
    args::Serve,
    context::{CliContext, need_root},
    report::{CliError, Exit, note},
    text,
};

/// The role in the instance's metadata.
const ROLE: &str = "bakehouse-local";
/// The access key's id and secret; any others are accepted, too.
const KEY: &str = "local";

pub(super) fn run(args: &Serve, cx: &CliContext) -> Result<Exit, CliError> {
    if args.devices {
        need_root("serving with --devices", "it makes names in /dev")?;
    }
    let region = cx.environment.region(args.region.as_ref())?;
    // Creates the directories and checks the region, with the error messages of other commands.
    drop(cx.runner(Some(&region))?);
    // From now on, so that no signal is lost between here and the wait.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|error| CliError::failed(format!("listening for signals: {error}")))?;

    let seed = random()?;
    let names = args.devices.then(|| PathBuf::from("/dev"));
    let settings = disks::Settings { device_names: names, ..disks::Settings::new(seed, now) };
    let cloud = Arc::new(LocalCloud::open(&cx.state.join("cloud"), settings)?);
    let account = cloud.account()?;

    let metadata = Metadata {
        instance: cloud.instance(&region)?,
        region: region.clone(),
        account: account.clone(),
        role: ROLE.to_owned(),
        access_key_id: KEY.to_owned(),
        v1: args.imds_v1,
        seed: random()?,
        clock: Arc::new(now),
    };
    let imds =
        args.imds.map(|listen| Imds::start(listen, metadata.clone()).map_err(|error| listen_error(listen, &error)));
    let imds = imds.transpose()?;
    let settings = Settings {
        listen: args.listen,
        account,
        metadata: Some(metadata),
        test_api: args.test_api,
        ..Settings::new(random()?, now)
    };
    let server = Server::start(Arc::clone(&cloud) as _, settings).map_err(|error| listen_error(args.listen, &error))?;

    let dir = cloud.dir().display().to_string();
    text::err(&format!("serving the embedded cloud in {dir}; Ctrl-C ends it"));
    if !server.address().ip().is_loopback() {
        note("whoever reaches this address may use the cloud: signatures are not checked");
    }
    if !nix::unistd::geteuid().is_root() {
        note("without root no volume can be attached");
    }
    note_unknown(&cloud)?;
    print_exports(&server, imds.as_ref(), &region);
    signals.forever().next();

    // First the servers are stopped, then the cloud with its attached volumes.
    drop((server, imds));
    drop(cloud);
    text::err("ended");
    Ok(Exit::Done)
}

/// Prints the lines that a user pastes into the clients' shell.
fn print_exports(server: &Server, imds: Option<&Imds>, region: &Region) {
    text::out(&format!("export AWS_ENDPOINT_URL_EC2={}", server.url()));
    text::out(&format!("export AWS_ENDPOINT_URL_STS={}", server.url()));
    if let Some(imds) = imds {
        text::out(&format!("export AWS_EC2_METADATA_SERVICE_ENDPOINT={}", imds.url()));
    }
    text::out(&format!("export AWS_ACCESS_KEY_ID={KEY} AWS_SECRET_ACCESS_KEY={KEY}"));
    // Version 1 of the AWS CLI reads only the second one.
    text::out(&format!("export AWS_REGION={region} AWS_DEFAULT_REGION={region}"));
}

fn now() -> Timestamp {
    WallClock.now()
}

fn random() -> Result<u64, CliError> {
    getrandom::u64().map_err(|error| CliError::failed(format!("asking the kernel for random numbers: {error}")))
}

fn listen_error(address: SocketAddr, error: &io::Error) -> CliError {
    let shown = CliError::failed(format!("listening on {address}: {error}"));
    match error.kind() {
        io::ErrorKind::AddrInUse => shown.hint("is it served already? Port 0 takes one that is free"),
        _ => shown,
    }
}
