//! The command line's arguments. Types only; they are used by [`crate::settings`] and [`crate::commands`].

mod flag;
mod listing;
mod local;
mod packer;
mod template;

pub(crate) use listing::Listing;
pub(crate) use local::*;
pub(crate) use packer::*;
pub(crate) use template::*;

use std::path::PathBuf;

use bakehouse_protocol::{HostId, InstanceId, Region};
use clap::{ArgAction, Args, Parser, Subcommand};

/// Bakes Amazon Machine Images without launching an instance.
///
/// Templates written for Packer's amazon-chroot builder run unchanged. With `--local` everything happens on this
/// machine, in an embedded cloud of sparse files and loop devices: no account is needed.
#[derive(Debug, Parser)]
#[command(
    name = "bakehouse",
    version,
    arg_required_else_help = true,
    after_help = "\
Exit codes: 0 done, 1 the build failed, 2 the template or the arguments are wrong,
3 `fmt -check` found a difference, 130 cancelled.

Example:
  bakehouse validate web.json && sudo bakehouse build web.json --local"
)]
pub(crate) struct Arguments {
    /// Where builds and the embedded cloud are kept [default: $BAKEHOUSE_STATE, else bakehouse in the XDG state home].
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// The stack to ask, in place of this machine.
    #[arg(long, global = true, value_name = "NAME", env = "BAKEHOUSE_STACK", hide_env_values = true)]
    pub(crate) stack: Option<String>,
    /// The stack's region [default: $AWS_REGION, else that of the profile or of this instance].
    // `build`, `policy` and the embedded cloud's commands have one of the same name that says more.
    #[arg(long, global = true, value_name = "REGION")]
    pub(crate) region: Option<Region>,
    /// Show on standard error what is done and every fault with its cause; twice: the AWS SDK's requests, too.
    /// BAKEHOUSE_LOG takes directives, such as `bakehouse=debug,aws=info`.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Colours on terminals; `--color=false`, NO_COLOR and PACKER_NO_COLOR switch them off.
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "true", value_name = "BOOL", hide_default_value = true, value_parser = flag::parse)]
    pub(crate) color: bool,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Check a template: every mistake at once, each with its place and what to write instead.
    #[command(after_help = "Example:\n  bakehouse validate web.json --var site=example.org")]
    Validate(Validate),
    /// Show what a build would do: every phase, every call with its values, the time, the cost.
    #[command(after_help = "\
The source image is looked up with the credentials that a build would use; nothing is created.

Examples:
  bakehouse plan web.json
  bakehouse plan web.json --offline --json | jq '.[].phases[].calls[]?.action'")]
    Plan(Plan),
    /// Show what is in a template: variables, builders, provisioners.
    #[command(after_help = "Example:\n  bakehouse inspect web.json")]
    Inspect(Inspect),
    /// Evaluate expressions with a template's variables, locals and data sources.
    #[command(after_help = "\
Reads a line for each expression; `variables` lists what there is, `exit` ends it. If standard input is no terminal, only
the last value is printed.

Examples:
  bakehouse console web.pkr.hcl
  echo '{{user `site` | upper}}' | bakehouse console -var site=example.org web.json")]
    Console(Console),
    /// Bring files in HCL2 into their canonical form, and print the names of those that change.
    #[command(after_help = "Examples:\n  bakehouse fmt -check -diff .\n  bakehouse fmt - < web.pkr.hcl")]
    Fmt(Fmt),
    /// Print the version.
    #[command(after_help = "Example:\n  bakehouse version -machine-readable")]
    Version(Version),
    /// Does nothing: there are no plugins to install.
    #[command(after_help = "Example:\n  bakehouse init .")]
    Init(Init),
    /// There are no plugins.
    #[command(hide = true, disable_help_flag = true)]
    Plugins(Anything),
    /// Templates need not be mended.
    #[command(hide = true, disable_help_flag = true)]
    Fix(Anything),
    /// Templates need not be translated.
    #[command(hide = true, disable_help_flag = true, name = "hcl2_upgrade")]
    Hcl2Upgrade(Anything),
    /// Print the least IAM policy that a template needs, computed from its options.
    #[command(after_help = "\
What is not known (--account, --region) is left open. A stack's controller needs more, for its queues and records: its
own template (infra/bakehouse.yaml) grants that.

Examples:
  bakehouse policy web.json
  bakehouse policy web.json --controller --stack bakehouse --account 123456789012 --region us-east-1")]
    Policy(Policy),
    /// Bake the images that a template describes.
    #[command(after_help = "\
Ctrl-C cancels the build and undoes what it has made; a second Ctrl-C says what is still being undone.

Examples:
  sudo bakehouse build web.json --local
  sudo bakehouse build web.json --local --var site=example.org --var-file secrets.json
  sudo bakehouse build web.json --local --json | jq -r 'select(.event == \"finished\").images[].id'")]
    Build(Build),
    /// Let a stack bake the images that a template describes.
    #[command(after_help = "\
The template and the files that it names go to the stack's bucket as one bundle, the request
to its inbox. Printed is the build's id.

Examples:
  bakehouse submit web.json --stack bakehouse
  bakehouse submit web.json --var site=example.org --wait")]
    Submit(Submit),
    /// Keep templates in a stack, for schedules and for new releases of their source images.
    #[command(
        arg_required_else_help = true,
        after_help = "\
Examples:
  bakehouse recipe put web web.json --on-release
  bakehouse recipe build web"
    )]
    Recipe(Recipe),
    /// List builds, the newest last.
    #[command(after_help = "Example:\n  bakehouse ls --json | jq -r '.[].id'")]
    Ls(Listing),
    /// Show one build: its phases, what it made, and why it failed if it did.
    #[command(after_help = "Examples:\n  bakehouse show last\n  bakehouse show b-6a2f")]
    Show(Show),
    /// Follow a build until it ends: its phases, and what its steps print.
    #[command(after_help = "Example:\n  bakehouse watch last")]
    Watch(Watch),
    /// Print what a build's steps printed.
    #[command(after_help = "Examples:\n  bakehouse logs last\n  bakehouse logs b-6a2f -f")]
    Logs(Logs),
    /// List the hosts that run builds, and which builds they run.
    #[command(after_help = "Example:\n  bakehouse hosts --stack bakehouse")]
    Hosts(Listing),
    /// Give a stack's host no new builds; what runs on it ends there.
    #[command(
        after_help = "Examples:\n  bakehouse drain i-0123456789abcdef0\n  bakehouse drain i-0123456789abcdef0 --undo"
    )]
    Drain(Drain),
    /// Cancel a build, and wait until everything that it made has been undone.
    #[command(after_help = "Example:\n  bakehouse cancel last")]
    Cancel(Cancel),
    /// List what killed runs have left behind; with --yes, remove it.
    #[command(after_help = "\
Disks that the embedded cloud's state does not know are listed, too, and kept: that state was lost, or an older one was
put back. `bakehouse local import DISK --name NAME` makes an image of one.

Examples:
  bakehouse sweep
  sudo bakehouse sweep --yes")]
    Sweep(Sweep),
    /// Look at the embedded cloud's images, bring disks in and take them out.
    #[command(
        arg_required_else_help = true,
        after_help = "\
Example:
  bakehouse local import debian-12-generic-amd64.raw --name debian-12
  bakehouse local export ami-0123456789abcdef0 web.qcow2"
    )]
    Local(Local),
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// The template, or a directory of HCL2 files; `-` is standard input.
    pub(crate) template: PathBuf,
    #[command(flatten)]
    pub(crate) variables: Variables,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Check only the syntax: no variables, no options, no files.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false",
          value_name = "BOOL", hide_default_value = true, value_parser = flag::parse)]
    pub(crate) syntax_only: bool,
    /// Don't warn of variables that are given but not declared.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false",
          value_name = "BOOL", hide_default_value = true, value_parser = flag::parse)]
    pub(crate) no_warn_undeclared_var: bool,
    /// Look up what data sources say; without it their values are not known and not checked.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false",
          value_name = "BOOL", hide_default_value = true, value_parser = flag::parse)]
    pub(crate) evaluate_datasources: bool,
    /// Packer's lines for programs on standard output: time, target, type, data.
    #[arg(long)]
    pub(crate) machine_readable: bool,
    #[command(flatten)]
    pub(crate) ignored: Ignored,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// The template; `-` is standard input.
    pub(crate) template: PathBuf,
    #[command(flatten)]
    pub(crate) variables: Variables,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Look the source image up in the embedded cloud on this machine.
    #[arg(long)]
    pub(crate) local: bool,
    /// Look nothing up: assume an ordinary source image of 8 GiB.
    #[arg(long, conflicts_with = "local")]
    pub(crate) offline: bool,
    /// Where it is built if the template does not say [default: $AWS_REGION, else $AWS_DEFAULT_REGION, else us-east-1].
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<Region>,
    /// A JSON array with an object for each build, in place of lines for people.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Policy {
    /// The template; `-` is standard input.
    pub(crate) template: PathBuf,
    #[command(flatten)]
    pub(crate) variables: Variables,
    /// For the controller of a stack (--stack, else `bakehouse`): it attaches volumes to the stack's hosts.
    #[arg(long, conflicts_with = "here")]
    pub(crate) controller: bool,
    /// For `bakehouse build` on an EC2 instance [default, unless a stack is named].
    #[arg(long)]
    pub(crate) here: bool,
    /// The instance, if only that one is to be used.
    #[arg(long, value_name = "ID", conflicts_with = "controller")]
    pub(crate) instance: Option<InstanceId>,
    /// The account's id.
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<String>,
    /// Where it is built if the template does not say.
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<Region>,
    /// `aws-cn` or `aws-us-gov` for AWS's partitions apart.
    #[arg(long, value_name = "NAME", default_value = "aws")]
    pub(crate) partition: String,
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The template, or a directory of HCL2 files; `-` is standard input.
    pub(crate) template: PathBuf,
    /// Bake in the embedded cloud on this machine. Needs root.
    #[arg(long)]
    pub(crate) local: bool,
    #[command(flatten)]
    pub(crate) variables: Variables,
    /// Where to build if the template does not say [default: $AWS_REGION, else $AWS_DEFAULT_REGION, else us-east-1].
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<Region>,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Replace the account's own image of the same name, as `force_deregister` does, and begin a new manifest.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false",
          value_name = "BOOL", hide_default_value = true, value_parser = flag::parse)]
    pub(crate) force: bool,
    /// Warn of variables that are given but not declared.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false",
          value_name = "BOOL", hide_default_value = true, value_parser = flag::parse)]
    pub(crate) warn_on_undeclared_var: bool,
    /// One JSON object per event on standard output, in place of lines for people.
    #[arg(long)]
    pub(crate) json: bool,
    /// Packer's lines for programs on standard output: time, target, type, data.
    #[arg(long, conflicts_with = "json")]
    pub(crate) machine_readable: bool,
    /// How many builds of the template run at once; 0: all, as far as this machine is fit for it.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) parallel_builds: usize,
    /// What follows a failure: undo everything, leave what was made, or ask on the terminal.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = OnErrorArg::Cleanup, hide_default_value = true)]
    pub(crate) on_error: OnErrorArg,
    /// Wait for Enter before each step; one build at a time.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false",
          value_name = "BOOL", hide_default_value = true, value_parser = flag::parse)]
    pub(crate) debug: bool,
    /// The time before each line about a build.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false",
          value_name = "BOOL", hide_default_value = true, value_parser = flag::parse)]
    pub(crate) timestamp_ui: bool,
    #[command(flatten)]
    pub(crate) ignored: Ignored,
}

#[derive(Debug, Args)]
pub(crate) struct Submit {
    /// The template; `-` is standard input.
    pub(crate) template: PathBuf,
    #[command(flatten)]
    pub(crate) variables: Variables,
    /// Follow the build until it ends.
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Recipe {
    #[command(subcommand)]
    pub(crate) verb: RecipeVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RecipeVerb {
    /// Keep a template and the files that it names under a name.
    Put(RecipePut),
    /// List the recipes.
    Ls(Listing),
    /// Build one now.
    Build(RecipeName),
    /// Remove one. Its images stay.
    Rm(RecipeName),
}

#[derive(Debug, Args)]
pub(crate) struct RecipePut {
    /// The recipe's name.
    pub(crate) name: String,
    /// The template; `-` is standard input.
    pub(crate) template: PathBuf,
    #[command(flatten)]
    pub(crate) variables: Variables,
    /// Build it whenever its source image has a new release, beginning with the present one.
    #[arg(long)]
    pub(crate) on_release: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RecipeName {
    /// The recipe's name.
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Drain {
    /// The host: its instance's id.
    pub(crate) host: HostId,
    /// Let it take builds again.
    #[arg(long)]
    pub(crate) undo: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The build: its id, an unambiguous beginning of it, or `last`.
    pub(crate) build: String,
    /// A JSON object on standard output, in place of lines for people.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The build: its id, an unambiguous beginning of it, or `last`.
    pub(crate) build: String,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The build: its id, an unambiguous beginning of it, or `last`.
    pub(crate) build: String,
    /// Go on until the build ends.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// One JSON object for each thing that the agent said, in place of the output alone.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The build: its id, an unambiguous beginning of it, or `last`.
    pub(crate) build: String,
}

#[derive(Debug, Args)]
pub(crate) struct Sweep {
    /// Remove what is listed. Needs root.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Remove the disks that the embedded cloud's state does not know, too. They can't be brought back.
    #[arg(long, requires = "yes")]
    pub(crate) unknown_disks: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_region_may_stand_on_either_side_of_the_verb_and_is_the_verbs_own_too() {
        let region = |line: &str| {
            let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
            let own = match arguments.verb {
                Verb::Build(build) => build.region,
                Verb::Local(Local { verb: LocalVerb::Rm(rm) }) => rm.region,
                _ => None,
            };
            (arguments.region.map(|region| region.to_string()), own.map(|region| region.to_string()))
        };
        let west = || Some("eu-west-1".to_owned());
        for line in ["bakehouse ls --region eu-west-1", "bakehouse --region eu-west-1 recipe ls"] {
            assert_eq!(region(line), (west(), None), "{line}");
        }
        for line in ["bakehouse build --region eu-west-1 t.json", "bakehouse --region eu-west-1 local rm ami-1"] {
            assert_eq!(region(line), (west(), west()), "{line}");
        }
        assert_eq!(region("bakehouse hosts"), (None, None));
    }
}
