//! The titles of steps.

use bakehouse_protocol::{
    mask::Mask,
    spec::{Action, Script},
};

/// Returns a title for a step. Sensitive values are masked in what it quotes from the template.
pub fn title(action: &Action, mask: &Mask) -> String {
    let shown = |text: &str| mask.apply(text).into_owned();
    let first = |mut names: Vec<String>| match names.len() {
        0 => String::new(),
        1 => names.remove(0),
        more => format!("{} and {} more", names[0], more - 1),
    };
    let script_names = |scripts: &[Script]| {
        let name = |script: &Script| match script {
            Script::Inline(_) => "inline".to_owned(),
            Script::File(file) => shown(&file.written),
        };
        first(scripts.iter().map(name).collect())
    };
    match action {
        Action::Shell(step) => format!("shell ({})", script_names(&step.scripts)),
        Action::ShellLocal(step) => format!("shell-local ({})", script_names(&step.scripts)),
        Action::Upload(step) => {
            let sources = if step.content.is_some() {
                "(content)".to_owned()
            } else {
                first(step.sources.iter().map(|file| shown(&file.written)).collect())
            };
            format!("file {sources} -> {}", shown(&step.destination.0))
        }
        Action::Download(step) => {
            let sources = step.sources.iter().map(|source| shown(&source.0)).collect();
            format!("file {} (in the image) -> {}", first(sources), shown(&step.destination))
        }
        Action::Ansible(step) => format!("ansible {}", shown(&step.playbook.written)),
        Action::AnsibleLocal(step) => {
            let playbooks = step.playbooks.iter().map(|file| shown(&file.written)).collect();
            format!("ansible-local {}", first(playbooks))
        }
        Action::Breakpoint(_) => "breakpoint".to_owned(),
        Action::Sleep(length) => format!("sleep {length}"),
    }
}
