//! Commands that run inside the image.

use crate::{
    attempt::Attempt,
    env::{self, shell_quoted},
    error::JobError,
    host::Command,
    host_tool::working_directory,
    render::TemplateData,
    setup::Entered,
};

/// Returns the command that runs a program in the image with exactly this environment. With a `command_wrapper`, that
/// wraps a chroot(8) command of the host and is run by the host's `/bin/sh`, as with Packer. Unlike with Packer every
/// word is quoted, and the environment is set inside the chroot, so that a wrapper such as sudo can't remove it.
pub(crate) fn image_command(
    entered: &Entered<'_>,
    argv: Vec<String>,
    env: Vec<(String, String)>,
    attempt: &Attempt,
) -> Result<Command, JobError> {
    let cx = entered.cx();
    let wrapper = &cx.job.chroot.command_wrapper;
    let root = &entered.chroot_mounts.image.path;
    let (timeout, grace) = (attempt.rest(), cx.job.grace.into());
    if !cx.job.chroot.has_wrapper() {
        return Ok(Command {
            in_image: true,
            root: Some(root.clone()),
            directory: "/".into(),
            argv,
            env,
            timeout,
            grace,
        });
    }
    let mut words = vec!["chroot".to_owned(), shell_quoted(&root.display().to_string())];
    words.extend(["env".to_owned(), "-i".to_owned()]);
    words.extend(env.iter().map(|(key, value)| shell_quoted(&format!("{key}={value}"))));
    words.extend(argv.iter().map(|word| shell_quoted(word)));
    let wrapped = TemplateData::default().with("Command", words.join(" ")).render(wrapper, cx.host.now())?;
    let argv = ["/bin/sh", "-c", &wrapped].map(str::to_owned).into();
    Ok(Command {
        in_image: true,
        root: None,
        directory: working_directory(cx)?,
        argv,
        env: env::base(),
        timeout,
        grace,
    })
}
