//! `bakehouse submit`.

use std::collections::{BTreeMap, BTreeSet};

use bakehouse_bundle::{Limits, PackRequest, Packed, source_files};
use bakehouse_controller::{clock::WallClock, ports::Clock};
use bakehouse_machine::Build;
use bakehouse_protocol::{BuildId, BuildTarget, Bytes, InboxMessage, Millis, Request, StackConfig};

use super::{strip_credentials, watch};
use crate::{
    args::{Submit, Variables},
    aws::{Session, StackBuilds, error},
    build_source::BuildSource as _,
    context::CliContext,
    report::{CliError, Exit, note},
    templates, text,
};

/// How long the controller may take to accept a request: it is called within seconds, and reconciles every minute.
const ACCEPT_TIMEOUT: Millis = Millis::minutes(2);

pub(super) fn run(args: &Submit, cx: &CliContext) -> Result<Exit, CliError> {
    let (packed, builders) = bundle(&args.template, &args.variables, cx)?;
    let session = cx.session()?;
    upload(&session, &packed)?;
    let random = getrandom::u32().map_err(|error| CliError::failed(format!("can't get random numbers: {error}")))?;
    let first = BuildId::from_parts(WallClock.now().0 / 1000, random);
    let request = Request {
        build: Some(first.clone()),
        target: BuildTarget::Bundle(packed.reference()),
        vars: BTreeMap::new(),
        scheduled: None,
    };
    session.send(&InboxMessage::Request(request))?;
    let ids: Vec<BuildId> = (1..=builders).filter_map(|n| first.nth(n)).collect();
    if !args.wait {
        ids.iter().for_each(|id| text::out(id.as_str()));
        note(&format!("`bakehouse watch {first}` follows it"));
        return Ok(Exit::Done);
    }
    let source = StackBuilds::new(session);
    let mut worst = Exit::Done;
    for id in &ids {
        text::err(&format!("Build {id} in {}", source.name()));
        let pause = || std::thread::sleep(source.poll_interval());
        let build = wait_until_accepted(|| source.session.find(id), &WallClock, pause, ACCEPT_TIMEOUT)?;
        let build = build.ok_or_else(|| not_accepted(&source.session.config, id))?;
        worst = worst.max(watch::follow(&source, build)?);
    }
    Ok(worst)
}

/// Packs the template and its files. Returns the bundle and the number of builders.
pub(super) fn bundle(
    template: &std::path::Path,
    variables: &Variables,
    cx: &CliContext,
) -> Result<(Packed, usize), CliError> {
    let read = templates::read_text(template, variables, &cx.directory)?;
    if read.loaded.builds.iter().any(|build| !build.post_processors.is_empty()) {
        note("a stack runs no post-processors: only `bakehouse build`, on the machine that it runs on, does");
    }
    let environment: BTreeSet<String> = read.loaded.environment.iter().cloned().collect();
    let order = PackRequest {
        recipe: templates::recipe(template),
        template: read.path.clone(),
        text: read.text.clone(),
        working_directory: cx.directory.clone(),
        vars: variables.vars.iter().cloned().collect(),
        var_files: variables.var_files.clone(),
        environment: environment
            .into_iter()
            .filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)))
            .collect(),
        files: source_files(&read.loaded.builds),
        limits: Limits::default(),
    };
    let (packed, notes) = strip_credentials::pack(order, &read)?;
    notes.iter().for_each(|line| note(line));
    Ok((packed, read.loaded.builds.len()))
}

/// Uploads a bundle to the stack's bucket.
pub(super) fn upload(session: &Session, packed: &Packed) -> Result<(), CliError> {
    let (files, size) = (text::count(packed.entries.len(), "file"), Bytes(packed.size));
    text::err(&format!("Bundle {} ({files}, {size})", &packed.sha256[..12]));
    session.wait(session.bundles.put(&packed.reference(), packed.bytes.clone())).map_err(error)
}

/// Waits until the controller has accepted the request. `None`: it has not within the time-out.
fn wait_until_accepted(
    mut find: impl FnMut() -> Result<Option<Build>, CliError>,
    clock: &impl Clock,
    mut pause: impl FnMut(),
    timeout: Millis,
) -> Result<Option<Build>, CliError> {
    let began = clock.now();
    loop {
        let found = find()?;
        if found.is_some() || clock.now().since(began) >= timeout {
            return Ok(found);
        }
        pause();
    }
}

fn not_accepted(stack: &StackConfig, id: &BuildId) -> CliError {
    let inbox = stack.inbox_url.rsplit('/').next().unwrap_or_default();
    let minutes = ACCEPT_TIMEOUT.0 / 60_000;
    let message = format!(
        "the controller of the stack {} has not taken the request for build {id} in {minutes} minutes",
        stack.name
    );
    CliError::failed(message).hint(format!(
        "look at the dead letters (the queue {inbox}-dead) and at the controller's log (the log group \
         /bakehouse/{}/controller); should it be taken later, `bakehouse watch {id}` follows it",
        stack.name
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use bakehouse_protocol::Timestamp;

    use super::*;
    use crate::printer::tests::a_build;

    /// A clock that only waiting advances.
    #[derive(Default)]
    struct Waited(AtomicU64);

    impl Waited {
        fn pause(&self) {
            self.0.fetch_add(1000, Ordering::SeqCst);
        }
    }

    impl Clock for Waited {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::SeqCst))
        }
    }

    #[test]
    fn a_request_that_nobody_takes_is_waited_for_as_long_as_is_said() {
        let clock = Waited::default();
        let taken = wait_until_accepted(|| Ok(None), &clock, || clock.pause(), ACCEPT_TIMEOUT).unwrap();
        assert_eq!((taken, clock.now()), (None, Timestamp(120_000)));
    }

    #[test]
    fn a_request_that_is_taken_is_waited_for_no_longer() {
        let clock = Waited::default();
        let find = || Ok((clock.now() >= Timestamp(3000)).then(a_build));
        let taken = wait_until_accepted(find, &clock, || clock.pause(), ACCEPT_TIMEOUT).unwrap();
        assert_eq!((taken, clock.now()), (Some(a_build()), Timestamp(3000)));
        let failing = wait_until_accepted(|| Err(CliError::failed("no")), &clock, || clock.pause(), ACCEPT_TIMEOUT);
        assert_eq!(failing, Err(CliError::failed("no")));
    }

    #[test]
    fn where_to_look_for_a_request_that_nobody_takes() {
        let config = serde_json::json!({
            "bakehouse": 1, "name": "bake", "region": "us-east-1", "account": "123456789012", "table": "bake",
            "inbox_url": "https://sqs.us-east-1.amazonaws.com/123456789012/bake-inbox", "bucket": "b",
            "builds_log_group": "/bakehouse/bake/builds", "host_queue_prefix": "bake-host-",
            "host_role_arn": "arn:aws:iam::123456789012:role/bake",
        });
        let error = not_accepted(&serde_json::from_value(config).unwrap(), &a_build().id);
        assert_eq!(error.exit(), Exit::Failed);
        let told = error.render();
        insta::assert_snapshot!(console::strip_ansi_codes(&told), @r"
        error: the controller of the stack bake has not taken the request for build b-00000001-00000002 in 2 minutes
        hint: look at the dead letters (the queue bake-inbox-dead) and at the controller's log (the log group /bakehouse/bake/controller); should it be taken later, `bakehouse watch b-00000001-00000002` follows it
        ");
    }
}
