//! `bakehouse plan`.

use std::sync::Arc;

use bakehouse_controller::{
    backend::Backend, clock::WallClock, mask::Mask, ports::Clock as _, resolve::resolve_with_source,
};
use bakehouse_protocol::BuildId;
use bakehouse_runner::dry_run::{DryRunError, dry_run};
use bakehouse_template::External;

use crate::{
    args::Plan as Args,
    context::CliContext,
    external::AssumedValues,
    plan::{Assumed, PlanReport, offline, planned_build},
    report::{CliError, Exit},
    templates::{self, ReadOptions},
    text,
};

pub(super) fn run(args: &Args, cx: &CliContext) -> Result<Exit, CliError> {
    let loaded = {
        let external: Option<Arc<dyn External>> = if args.offline { Some(Arc::new(AssumedValues)) } else { None };
        let aws = if args.local { Some(cx.local_values(args.region.as_ref())?) } else { None };
        let options = ReadOptions { selection: Some(&args.selection), aws, external, ..ReadOptions::default() };
        templates::read_with(&args.template, &args.variables, options, &cx.directory)?
    };
    let mask = Mask::new(&loaded.sensitive);
    let recipe = templates::recipe(&args.template);
    let mut reports = Vec::new();
    for (number, spec) in (0..).zip(loaded.builds) {
        let region = match &spec.region {
            Some(region) => region.clone(),
            None => cx.environment.region(args.region.as_ref().or(cx.region.as_ref()))?,
        };
        let now = WallClock.now();
        let build = planned_build(spec, region, &recipe, BuildId::from_parts(now.0 / 1000, number), now);
        let hide = |error: CliError| error.hide(&mask);
        let (source, plan, assumed) = if args.offline {
            let (source, plan) = pollster::block_on(offline(&build)).map_err(|fault| hide(CliError::fault(&fault)))?;
            (source, plan, Assumed::Source)
        } else if args.local {
            let runner = cx.runner(Some(&build.region))?;
            let cloud = Backend::cloud(&runner);
            let (source, plan) = pollster::block_on(resolve_with_source(cloud, &build))
                .map_err(|fault| hide(CliError::fault(&fault)))?;
            (source, plan, Assumed::No)
        } else {
            let access = loaded.access.get(number as usize).cloned().unwrap_or_default();
            let (source, plan) = super::plan_on_aws::look_up(&build, access, cx).map_err(hide)?;
            (source, plan, Assumed::No)
        };
        let (spec, region) = (build.spec.clone(), build.region.clone());
        let run = dry_run(build, plan).map_err(|error| hide(of_dry_run(&error)))?;
        reports.push(PlanReport::new(&spec, &region, source.as_ref(), assumed, run, &mask));
    }
    if args.json {
        let json = serde_json::to_string_pretty(&reports)
            .map_err(|error| CliError::failed(format!("writing the plan as JSON: {error}")))?;
        text::out(&json);
    } else {
        let texts: Vec<String> = reports.iter().map(PlanReport::text).collect();
        text::out(texts.join("\n").trim_end());
    }
    Ok(Exit::Done)
}

fn of_dry_run(error: &DryRunError) -> CliError {
    match error {
        DryRunError::Failed(reason) => CliError::reason(reason),
        other => CliError::of(other),
    }
}
