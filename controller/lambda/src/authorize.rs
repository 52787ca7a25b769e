//! Which sender may send which message. Pure. Templates run commands as root on a host, so a host's role may only send
//! the host's own reports and those of its jobs. Nobody else may send these, as the proof that a volume is clean is in
//! them.

use bakehouse_protocol::InboxMessage;

use crate::incoming::Incoming;

/// Whether a sender may send this message. `sender` is SQS's SenderId: `AROA…:i-…` for an instance with a role,
/// wherever its credentials are used. `host_role`: the id of the hosts' role; empty if unknown.
pub fn is_authorized(host_role: &str, sender: &str, incoming: &Incoming) -> bool {
    if host_role.is_empty() {
        return true;
    }
    let host = sender.split_once(':').and_then(|(role, session)| (role == host_role).then_some(session));
    match (incoming, host) {
        // Only logged.
        (Incoming::Invalid(_), _) => true,
        (Incoming::Message(message), host) => match message.as_ref() {
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
    use crate::incoming::parse;
    use std::{fs, path::Path};

    const ROLE: &str = "AROAIWPX5BD2BHG722MW4";

    /// A sample of `events/`.
    fn sample(name: &str) -> Incoming {
        parse(&fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(name)).expect(name))
    }

    #[test]
    fn only_a_host_may_report_for_itself() {
        let own = format!("{ROLE}:i-0f1e2d3c4b5a69788");
        let others =
            [&format!("{ROLE}:i-0123456789abcdef0")[..], "AROAANOTHERROLE:i-0f1e2d3c4b5a69788", "AIDAUSER", ROLE];
        for name in ["host.json", "report.json"] {
            assert!(is_authorized(ROLE, &own, &sample(name)), "{name}");
            for other in others {
                assert!(!is_authorized(ROLE, other, &sample(name)), "{name} by {other}");
            }
        }
        for name in
            ["request-recipe.json", "cancel.json", "drain.json", "instance-terminated.json", "patrol.json", "tick.json"]
        {
            assert!(!is_authorized(ROLE, &own, &sample(name)), "{name}");
            assert!(is_authorized(ROLE, "AIDAUSER", &sample(name)), "{name}");
            assert!(is_authorized("", &own, &sample(name)), "{name}");
        }
    }
}
