//! The report for people.

use std::fmt::Write as _;

use bakehouse_machine::AccountRegion;

use super::{
    attributes::{Attribute, Change},
    report::{PlanReport, SourceImage},
};

impl PlanReport {
    /// Returns the report in lines for people.
    pub(crate) fn text(&self) -> String {
        let mut out = format!("{}: {} in {}", self.build, self.image, self.region);
        let own = self.copies.iter().map(ToString::to_string);
        let others = self.account_copies.iter();
        let others = others.map(|copy| AccountRegion::describe(copy.region.as_str(), Some(&copy.account)));
        let copies: Vec<String> = own.chain(others).collect();
        if !copies.is_empty() {
            let _ = write!(out, ", copied to {}", copies.join(", "));
        }
        let _ = writeln!(out, "\n  from {}, on a volume of {} GiB", source(self.source.as_ref()), self.volume_size);
        for phase in &self.phases {
            if phase.steps.is_empty() && phase.calls.is_empty() {
                continue;
            }
            let _ = writeln!(out, "\n{} (after {})", phase.phase, minutes(phase.at_seconds));
            for step in &phase.steps {
                let _ = writeln!(out, "  host       {}", step.replace('\n', "\n             "));
            }
            for call in &phase.calls {
                let by = call.account.as_ref().map_or_else(String::new, |account| format!(" by the role of {account}"));
                let _ = writeln!(out, "  {:10} {}{by}", call.region.as_str(), call.action);
                for (name, value) in &call.parameters {
                    let _ = writeln!(out, "               {name} = {value}");
                }
            }
        }
        for (change, title) in [
            (Change::Inherited, "Inherited of the source"),
            (Change::Changed, "Other than the source"),
            (Change::Lost, "Lost: the source has it, the new image does not"),
        ] {
            let of_kind: Vec<&Attribute> = self.attributes.iter().filter(|it| it.change == change).collect();
            if !of_kind.is_empty() {
                let _ = writeln!(out, "\n{title}");
                of_kind.into_iter().for_each(|attribute| out.push_str(&line(attribute)));
            }
        }
        let estimate = &self.estimate;
        let _ = writeln!(
            out,
            "\nEstimate: {}, and the time of the steps; {} for the build and at most {} a month for the snapshots (list \
             prices of us-east-1)",
            minutes(estimate.seconds),
            dollars(estimate.build_dollars),
            dollars(estimate.monthly_dollars),
        );
        out
    }
}

fn source(source: Option<&SourceImage>) -> String {
    match source {
        None => "scratch".to_owned(),
        Some(SourceImage { assumed: true, .. }) => "an assumed image of 8 GiB (no cloud was asked)".to_owned(),
        Some(SourceImage { id: Some(id), name, owner, .. }) => format!("{id} ({name}, of {owner})"),
        Some(SourceImage { name, owner, .. }) => format!("{name} of {owner}"),
    }
}

fn line(attribute: &Attribute) -> String {
    let Attribute { name, change, source, image } = attribute;
    let (source, image) = (source.as_deref().unwrap_or("none"), image.as_deref().unwrap_or("none"));
    match change {
        Change::Inherited => format!("  {name} = {image}\n"),
        Change::Changed => format!("  {name} = {image} (the source: {source})\n"),
        Change::Lost => format!("  {name} (the source: {source})\n"),
    }
}

fn minutes(seconds: u64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

fn dollars(amount: f64) -> String {
    if amount < 0.01 { "under $0.01".to_owned() } else { format!("${amount:.2}") }
}
