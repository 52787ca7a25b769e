//! Everything that can go wrong goes wrong once, in every script. The scripts of each loop are shared out among a few
//! tests, which run beside each other.

use bakehouse_protocol::Millis;

use crate::{
    checks::{check, ending},
    interference::{Fails, Fate, Interference, When},
    run::{Run, run},
    script::{Script, parse},
    scripts,
};

fn with(interference: Interference) -> impl Fn(&Script) -> Run {
    move |script| run(script, interference.clone())
}

/// Among how many tests the scripts of a loop are shared out.
const PARTS: usize = 4;

macro_rules! in_parts {
    ($($(#[$doc:meta])* fn $name:ident($part:ident) $body:block)*) => {$(
        $(#[$doc])*
        mod $name {
            use super::*;

            fn run_part($part: usize) $body

            #[test]
            fn part_1() {
                run_part(0);
            }
            #[test]
            fn part_2() {
                run_part(1);
            }
            #[test]
            fn part_3() {
                run_part(2);
            }
            #[test]
            fn part_4() {
                run_part(3);
            }
        }
    )*};
}

fn each(part: usize, mut f: impl FnMut(&str, &Script, &Run)) {
    for (name, text) in scripts().into_iter().skip(part).step_by(PARTS) {
        let script = parse(&text);
        let baseline = run(&script, Interference::default());
        assert_eq!(ending(&baseline), script.ends, "{name}");
        f(&name, &script, &baseline);
    }
}

fn same_end(name: &str, what: &str, script: &Script, run: &Run) {
    let told = format!("{name}: {what}");
    check(&told, run);
    assert_eq!(ending(run), script.ends, "{told}: it ended otherwise\n{}", run.log.join("\n"));
}

/// A cancel that comes a little earlier or later than in the baseline may find the build already over.
fn may_end_otherwise(script: &Script) -> bool {
    script.cancel.or(script.trouble).or(script.killed).is_some()
}

fn expect(name: &str, what: &str, script: &Script, run: &Run) {
    if may_end_otherwise(script) {
        check(&format!("{name}: {what}"), run);
    } else {
        same_end(name, what, script, run);
    }
}

in_parts! {
    fn the_process_may_die_before_and_after_every_operation(part) {
        each(part, |name, script, baseline| {
            for n in 0..baseline.operations {
                for when in [When::Before, When::After] {
                    let run = with(Interference { crash: Some((n, when)), ..Interference::default() })(script);
                    expect(name, &format!("a crash {when:?} operation {n}"), script, &run);
                }
            }
        });
    }
}

in_parts! {
    fn every_message_may_come_twice(part) {
        each(part, |name, script, baseline| {
            let run = with(Interference { all_twice: true, ..Interference::default() })(script);
            expect(name, "every message twice", script, &run);
            for n in 0..baseline.messages {
                let run = with(Interference { message: Some((n, Fate::Twice)), ..Interference::default() })(script);
                expect(name, &format!("message {n} twice"), script, &run);
            }
        });
    }
}

in_parts! {
    fn every_message_may_come_late_or_never(part) {
        each(part, |name, script, baseline| {
            for n in 0..baseline.messages {
                for fate in [Fate::Late(Millis::seconds(45)), Fate::Late(Millis::minutes(20)), Fate::Lost] {
                    let run = with(Interference { message: Some((n, fate)), ..Interference::default() })(script);
                    expect(name, &format!("message {n} {fate:?}"), script, &run);
                }
            }
        });
    }
}

/// The errors of each class that a call can meet.
fn errors(action: &str) -> Vec<Fails> {
    let error = |code, message| Fails { code, message, performed: false, harmless: true };
    let mut errors = vec![
        error("RequestLimitExceeded", "Request limit exceeded."),
        error("InternalError", "An internal error has occurred"),
        Fails { performed: true, ..error("InternalError", "An internal error has occurred") },
        Fails {
            harmless: false,
            ..error("UnauthorizedOperation", "You are not authorized to perform this operation.")
        },
    ];
    let not_found = match action {
        "DescribeVolumes" | "AttachVolume" | "DetachVolume" | "DeleteVolume" | "CreateSnapshot" => {
            Some("InvalidVolume.NotFound")
        }
        "DescribeSnapshots" | "DeleteSnapshot" | "CreateVolume" | "RegisterImage" => Some("InvalidSnapshot.NotFound"),
        "DescribeImages"
        | "CopyImage"
        | "DeregisterImage"
        | "ModifyImageAttribute"
        | "CreateTags"
        | "AttachImageWatermark"
        | "EnableImageDeprecation"
        | "EnableImageDeregistrationProtection" => Some("InvalidAMIID.NotFound"),
        "ModifySnapshotAttribute" => Some("InvalidSnapshot.NotFound"),
        _ => None,
    };
    // Of what was made long ago it is the truth: the build then fails, and whatever is left is found by its tag.
    errors.extend(not_found.map(|code| Fails { harmless: false, ..error(code, "does not exist") }));
    if matches!(action, "AttachVolume" | "DeleteVolume" | "CreateSnapshot" | "RegisterImage") {
        errors.push(error("IncorrectState", "not in the right state"));
    }
    if action == "AttachVolume" {
        errors.push(error(
            "InvalidParameterValue",
            "Invalid value '/dev/sdf' for unixDevice. Attachment point /dev/sdf is already in use",
        ));
    }
    errors
}

in_parts! {
    fn every_call_may_fail_with_every_error_of_its_class(part) {
        each(part, |name, script, baseline| {
            for (n, action) in baseline.calls.iter().enumerate() {
                for fails in errors(action) {
                    let run = with(Interference { call: Some((n, fails)), ..Interference::default() })(script);
                    let what = format!("call {n} ({action}) fails with {} (performed: {})", fails.code, fails.performed);
                    if fails.harmless {
                        expect(name, &what, script, &run);
                    } else {
                        check(&format!("{name}: {what}"), &run);
                    }
                }
            }
        });
    }
}
