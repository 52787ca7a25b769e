//! Retiring: older images are removed. The new ones stand and are published, so nothing is undone any more: what can't
//! be removed is a warning in the record.

use alloc::{format, vec, vec::Vec};

use crate::{Build, Command, Phase, Plan};

pub(crate) fn retiring(build: &mut Build, plan: &Plan) -> Vec<Command> {
    let mut wanted = vec![];
    if let Some(keep) = build.spec.image.replacement.keep {
        for region in plan.targets(&build.region) {
            let image = build.resources.image_in(region).map(|image| image.id.clone());
            if let Some(newest) = image.filter(|_| !build.resources.searched.contains(region)) {
                let (recipe, builder) = (build.recipe.clone(), build.spec.shown_name().into());
                wanted.push(Command::FindOldImages { region: region.clone(), recipe, builder, keep, newest });
            }
        }
    }
    wanted.extend(build.resources.old_images.iter().cloned().map(Command::RetireImage));
    if wanted.is_empty() && build.in_flight.is_empty() {
        build.phase = Phase::Succeeded;
    }
    wanted
}

/// Goes on without what a command was to do, and says so.
pub(crate) fn give_up(build: &mut Build, command: &Command, why: &str) {
    let what = match command {
        Command::FindOldImages { region, .. } => {
            build.resources.searched.push(region.clone());
            format!("older images in {region} are not looked for")
        }
        Command::RetireImage(old) => {
            build.resources.old_images.retain(|it| it != old);
            format!("the older image {} in {} or its snapshots are left", old.id, old.region)
        }
        _ => return,
    };
    build.warnings.push(format!("{what}: {why}"));
}

/// Ends the build although older images may be left.
pub(crate) fn stop(build: &mut Build, why: &str) {
    build.in_flight.clear();
    if let Some(plan) = build.plan.clone() {
        for command in retiring(build, &plan) {
            give_up(build, &command, why);
        }
    }
    build.phase = Phase::Succeeded;
}
