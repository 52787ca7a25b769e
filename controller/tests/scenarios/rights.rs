//! The calls of a run, with the ids and tags of what they were about, against the controller's role in the stack's
//! template and against the policy that is computed for the spec: both must allow every one of them. Those of a role of
//! another account must be allowed by the permissions that the template reference lists for it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{LazyLock, Mutex, PoisonError},
};

use bakehouse_controller::policy::{ArnScope, Caller, least_policy};
use bakehouse_localcloud::{Call, resource::Tags};
use bakehouse_protocol::Region;
use bakehouse_tests::{
    iam::{Policy, Request},
    roles,
    template::{ACCOUNT, REGION, STACK, Template},
};

use crate::run::Run;

/// The stack's template, read once.
static TEMPLATE: LazyLock<Template> = LazyLock::new(|| Template::read().expect("the stack's template"));

/// What is known of a spec, by that spec: the loops run each script many hundred times, and ask the same each time.
static KNOWN: LazyLock<Mutex<HashMap<String, Known>>> = LazyLock::new(Mutex::default);

struct Known {
    policies: [(&'static str, Policy); 2],
    allowed: HashSet<(bool, Request)>,
}

/// The permissions of a role that copies images, as documented.
static COPY_ROLE: LazyLock<[(&'static str, Policy); 1]> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/template-reference.md");
    let page = std::fs::read_to_string(path).expect("the template reference");
    let blocks = page.split("```json").skip(1).filter_map(|rest| rest.split("```").next());
    let text = blocks.into_iter().find(|text| text.contains("ec2:CopyImage")).expect("the role's permissions");
    let document = serde_json::from_str(&text.replace("BUILDING_ACCOUNT", ACCOUNT)).expect("a policy");
    [("the documented policy", Policy::new([&document]))]
});

/// Every call of a run is allowed by the role and by the computed policy, on what it acted on.
pub fn suffice(told: &impl Fn() -> String, run: &Run) {
    let mut all = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = all.entry(format!("{:?}", run.build.spec)).or_insert_with(|| Known::of(run));
    for call in &run.ec2 {
        let is_own = call.account == ACCOUNT;
        for request in requests(call) {
            let asked = (is_own, request);
            if known.allowed.contains(&asked) {
                continue;
            }
            let policies: &[(&str, Policy)] = if is_own { &known.policies } else { &*COPY_ROLE };
            for (whose, policy) in policies {
                assert!(policy.allows(&asked.1), "{whose} does not allow {asked:?} of {call:?}: {}", told());
            }
            known.allowed.insert(asked);
        }
    }
}

impl Known {
    fn of(run: &Run) -> Self {
        let spec = &run.build.spec;
        let copies: Vec<&str> = spec.image.regions.iter().map(Region::as_str).collect();
        let other = if run.another.is_some() { "true" } else { "false" };
        let template = TEMPLATE.clone().with("CopyRegions", &copies.join(",")).with("AllowOtherSnapshots", other);
        let region = Some(run.build.region.clone());
        let place = ArnScope { account: Some(ACCOUNT.to_owned()), region, ..ArnScope::default() };
        let least = least_policy(std::slice::from_ref(spec), &Caller::Controller { stack: STACK.to_owned() }, &place);
        let role = roles::policy(&template, roles::CONTROLLER);
        let policies = [("the stack's role", role), ("the computed policy", Policy::new([&least]))];
        Self { policies, allowed: HashSet::new() }
    }
}

/// What IAM is asked about a call: one question for each thing that it acts on and for each that it makes.
fn requests(call: &Call) -> Vec<Request> {
    let region = call.region.as_ref().map_or(REGION, Region::as_str);
    let ask = |action: &str, resource: String, context: BTreeMap<String, String>| {
        let region = ("ec2:Region".to_owned(), region.to_owned());
        Request { action: format!("ec2:{action}"), resource, context: context.into_iter().chain([region]).collect() }
    };
    if call.action.starts_with("Describe") {
        return vec![ask(call.action, "*".to_owned(), BTreeMap::new())];
    }
    let mut asked = Vec::new();
    for (id, tags) in &call.on {
        let mut context = under("ResourceTag", tags);
        if call.action == "CreateTags" {
            context.extend(under("RequestTag", &call.tags));
        }
        let mut region = region;
        if call.action == "CopyImage" {
            // For a copy's source EC2 gives the owner in place of the tags; a build copies its own image only, from
            // home.
            context = BTreeMap::from([("ec2:Owner".to_owned(), ACCOUNT.to_owned())]);
            region = REGION;
        }
        asked.push(ask(call.action, arn(region, kind(id), id), context));
    }
    for kind in makes(call.action) {
        let requested = under("RequestTag", &call.tags);
        let new = arn(region, kind, "*");
        asked.push(ask(call.action, new.clone(), requested.clone()));
        let made_by = ("ec2:CreateAction".to_owned(), call.action.to_owned());
        asked.push(ask("CreateTags", new, requested.into_iter().chain([made_by]).collect()));
    }
    asked
}

fn under(key: &str, tags: &Tags) -> BTreeMap<String, String> {
    tags.iter().map(|(name, value)| (format!("aws:{key}/{name}"), value.clone())).collect()
}

fn makes(action: &str) -> &'static [&'static str] {
    match action {
        "CreateVolume" => &["volume"],
        "CreateSnapshot" => &["snapshot"],
        "RegisterImage" => &["image"],
        "CopyImage" => &["image", "snapshot"],
        _ => &[],
    }
}

fn kind(id: &str) -> &'static str {
    match id.split('-').next() {
        Some("vol") => "volume",
        Some("snap") => "snapshot",
        Some("ami") => "image",
        _ => "instance",
    }
}

/// The ARNs of snapshots and images name no account.
fn arn(region: &str, kind: &str, id: &str) -> String {
    let account = if matches!(kind, "snapshot" | "image") { "" } else { ACCOUNT };
    format!("arn:aws:ec2:{region}:{account}:{kind}/{id}")
}
