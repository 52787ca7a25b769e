//! The language of the scripts: a line a fact, `#` begins a comment.
//!
//! ```text
//! regions us-west-2 eu-west-1       copies to make
//! from scratch                      instead of from the base image
//! agent works 90s                   how long the provisioners take (default 30s)
//! agent fails                       the last step exits 1
//! agent dies after 20s              nothing is heard of it any more
//! agent stubborn                    it can't prove that the volume is clean
//! cancel at 40s
//! trouble at 40s                    the place can't go on: its disk is full, say
//! killed at 40s                     the one process that is both controller and agent's parent dies, as a local
//!                                   build's does by kill -9; 10 s later another clears it away
//! maps another snapshot             a mapping names a snapshot of the account that the build does not make
//! replaces                          an image of the name stands in each region, and `force_deregister` is set
//! deletes replaced snapshots        with `force_delete_snapshot`
//! keeps 2                           of the builder's images: three older ones stand in each region, and three of
//!                                   another builder of the recipe
//! skips the build region            `skip_save_build_region`
//! copies to another account in us-west-2 eu-west-1
//!                                   each a copy that it owns; without regions: wherever the image stays
//! role refused                      the role of that account can't be assumed
//! encrypts                          `encrypt_boot`, with a key for each region
//! shares                            image and snapshots, with organizations too
//! manages                           watermarks, deprecation, protection, parameters
//! name taken in us-west-2
//! device taken /dev/sdf             by something EC2 knows of and the table does not
//! fail CreateVolume 1 CODE text     the first such call fails; `always` in place of 1: each does
//! refuses RegisterImage in us-west-2 the build has no right to it there
//! image fails in us-west-2          the copy goes to the state failed
//! ends succeeded|failed|cancelled   what must come of it
//! ```

use bakehouse_protocol::{DeviceName, Millis, Region};

#[derive(Clone, Debug, Default)]
pub struct Script {
    pub regions: Vec<Region>,
    pub scratch: bool,
    pub works: Millis,
    pub agent_fails: bool,
    pub agent_dies: Option<Millis>,
    pub stubborn: bool,
    pub cancel: Option<Millis>,
    pub trouble: Option<Millis>,
    pub killed: Option<Millis>,
    pub maps_another: bool,
    pub replaces: bool,
    pub deletes_replaced: bool,
    pub keeps: Option<u32>,
    pub skips_home: bool,
    pub account_copies: Option<Vec<Region>>,
    pub role_refused: bool,
    pub encrypts: bool,
    pub shares: bool,
    pub manages: bool,
    pub name_taken: Option<Region>,
    pub device_taken: Option<DeviceName>,
    pub refuses: Option<(String, Region)>,
    pub image_fails: Option<Region>,
    pub failures: Vec<Failure>,
    pub ends: String,
}

#[derive(Clone, Debug)]
pub struct Failure {
    pub action: String,
    pub nth: Option<usize>,
    pub code: String,
    pub message: String,
}

pub fn parse(text: &str) -> Script {
    let mut script = Script { works: Millis::seconds(30), ..Script::default() };
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or("").trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            ["regions", regions @ ..] => script.regions = regions.iter().map(|name| region(name)).collect(),
            ["from", "scratch"] => script.scratch = true,
            ["agent", "works", time] => script.works = seconds(time),
            ["agent", "fails"] => script.agent_fails = true,
            ["agent", "dies", "after", time] => script.agent_dies = Some(seconds(time)),
            ["agent", "stubborn"] => script.stubborn = true,
            ["cancel", "at", time] => script.cancel = Some(seconds(time)),
            ["trouble", "at", time] => script.trouble = Some(seconds(time)),
            ["killed", "at", time] => script.killed = Some(seconds(time)),
            ["maps", "another", "snapshot"] => script.maps_another = true,
            ["replaces"] => script.replaces = true,
            ["deletes", "replaced", "snapshots"] => script.deletes_replaced = true,
            ["keeps", count] => script.keeps = Some(count.parse().expect("how many")),
            ["skips", "the", "build", "region"] => script.skips_home = true,
            ["copies", "to", "another", "account"] => script.account_copies = Some(vec![]),
            ["copies", "to", "another", "account", "in", regions @ ..] => {
                script.account_copies = Some(regions.iter().map(|name| region(name)).collect());
            }
            ["role", "refused"] => script.role_refused = true,
            ["encrypts"] => script.encrypts = true,
            ["shares"] => script.shares = true,
            ["manages"] => script.manages = true,
            ["name", "taken", "in", name] => script.name_taken = Some(region(name)),
            ["device", "taken", name] => script.device_taken = Some(DeviceName::new(*name).expect("a device name")),
            ["refuses", action, "in", name] => script.refuses = Some(((*action).into(), region(name))),
            ["image", "fails", "in", name] => script.image_fails = Some(region(name)),
            ["fail", action, nth, code, message @ ..] => script.failures.push(Failure {
                action: (*action).into(),
                nth: (*nth != "always").then(|| nth.parse().expect("which call")),
                code: (*code).into(),
                message: message.join(" "),
            }),
            ["ends", how] => script.ends = (*how).into(),
            _ => panic!("a script has the line {line:?}"),
        }
    }
    assert!(!script.ends.is_empty(), "a script says how it ends");
    script
}

fn region(name: &str) -> Region {
    Region::new(name).expect("a region")
}

fn seconds(text: &str) -> Millis {
    Millis::seconds(text.strip_suffix('s').and_then(|n| n.parse().ok()).expect("a time as 20s"))
}
