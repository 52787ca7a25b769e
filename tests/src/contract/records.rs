//! Builds and reports for tests.

use bakehouse_machine::{Build, Timing, build::NewBuild};
use bakehouse_protocol::{
    BuildId, BuildSpec, HostId, HostReport, InstanceId, Region, Timestamp, Zone,
    spec::{Architecture, Source},
};

/// The region of every build and host here.
const REGION: &str = "us-east-1";

/// The id of the build with this number.
pub fn id(n: u32) -> BuildId {
    BuildId::from_parts(u64::from(n), 7)
}

/// The build with this number, accepted `n` seconds after 1970 began.
pub fn build(n: u32) -> Build {
    let spec = BuildSpec::minimal("web", Source::Scratch { size: 1 });
    let (region, recipe, files) = (Region::new(REGION).unwrap(), format!("recipe-{n}"), String::new());
    Build::new(
        NewBuild { id: id(n), spec, region, recipe, files, bundle: None, timing: Timing::AWS },
        Timestamp(u64::from(n) * 1000),
    )
}

/// A report of a host with two slots.
pub fn report(n: u32, at: Timestamp) -> HostReport {
    let name = format!("i-{n:08x}");
    HostReport {
        host: HostId::new(&name).unwrap(),
        instance: InstanceId::new(name).unwrap(),
        region: Region::new(REGION).unwrap(),
        zone: Zone::new("us-east-1a").unwrap(),
        architecture: Architecture::X86_64,
        kernel: "6.1".to_owned(),
        agent: "0.1".to_owned(),
        slots: 2,
        attach_limit: None,
        running: vec![],
        draining: false,
        listening: true,
        at,
    }
}
