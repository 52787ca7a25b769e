//! Who may say what. On a host everything runs as root that a template asks for, so its role may say no more than a host
//! has to: how it is, and how its own jobs are. And nobody else may say that: a proof that a volume is clean is a host's
//! word. Pure.

use bakehouse_protocol::InboxMessage;

use crate::incoming::Incoming;

/// Whether a sender, as SQS names it, may say this. Of an instance with a role SQS says `AROA…:i-…`, whoever has its
/// credentials and wherever they are used. `host_role`: the hosts' role's id; empty, if it is not known.
pub fn may_say(host_role: &str, sender: &str, incoming: &Incoming) -> bool {
    if host_role.is_empty() {
        return true;
    }
    let host = sender.split_once(':').and_then(|(role, session)| (role == host_role).then_some(session));
    match (incoming, host) {
        // Nothing follows but a line in the log.
        (Incoming::NotUnderstood(_), _) => true,
        (Incoming::Ours(message), host) => match message.as_ref() {
            InboxMessage::Report { report } => host == Some(report.host.as_str()),
            InboxMessage::Host { host: report } => {
                host == Some(report.host.as_str()) && host == Some(report.instance.as_str())
            }
            _ => host.is_none(),
        },
        (_, host) => host.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incoming::read;
    use std::{fs, path::Path};

    const ROLE: &str = "AROAIWPX5BD2BHG722MW4";

    /// A sample of `events/`.
    fn sample(name: &str) -> Incoming {
        read(&fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(name)).expect(name))
    }

    #[test]
    fn a_host_speaks_for_itself_and_nobody_speaks_for_it() {
        let own = format!("{ROLE}:i-0f1e2d3c4b5a69788");
        let others =
            [&format!("{ROLE}:i-0123456789abcdef0")[..], "AROAANOTHERROLE:i-0f1e2d3c4b5a69788", "AIDAUSER", ROLE];
        for name in ["host.json", "report.json"] {
            assert!(may_say(ROLE, &own, &sample(name)), "{name}");
            for other in others {
                assert!(!may_say(ROLE, other, &sample(name)), "{name} by {other}");
            }
        }
        for name in
            ["request-recipe.json", "cancel.json", "drain.json", "instance-terminated.json", "patrol.json", "tick.json"]
        {
            assert!(!may_say(ROLE, &own, &sample(name)), "{name}");
            assert!(may_say(ROLE, "AIDAUSER", &sample(name)), "{name}");
            assert!(may_say("", &own, &sample(name)), "{name}");
        }
    }
}
