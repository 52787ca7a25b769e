//! `cargo xtask demo`: a base image from nothing, and a web server's image baked from it.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    bakehouse::{self, Baked, Bakehouse},
    base,
    setup::{self, Purpose},
    sh::{self, Error, Result},
};

/// Does all of its own set-up; writes nothing outside the state directory but the packages it installs and what cargo
/// builds.
pub(crate) fn demo(state: Option<PathBuf>) -> Result<()> {
    let begun = Instant::now();
    heading("1/4  Tools");
    setup::setup(Purpose::Demo)?;
    if !sh::is_root() {
        return Err(Error::Unready(
            "attaching and mounting disks needs root. Run:\n    sudo -E env \"PATH=$PATH\" cargo xtask demo".to_owned(),
        ));
    }

    // In release: this is the program as its users have it, and the times below are worth reading.
    heading("2/4  cargo build --release -p bakehouse");
    let compiling = Instant::now();
    let program = bakehouse::build()?;
    println!("  {} in {}", program.display(), seconds(compiling.elapsed()));

    let state = absolute(state.map_or_else(default_state, Ok)?)?;
    fs::create_dir_all(&state).map_err(Error::file("make", &state))?;
    let bakehouse = Bakehouse { program, state };
    let system = base::system();

    heading("3/4  The base: examples/base.json");
    let recipe = base::recipe()?;
    let reused = existing(&bakehouse.images()?, &format!("{system}-base-{recipe}"));
    let made = match &reused {
        Some((id, name)) => {
            println!("  reusing {id} ({name}): the same template on the same system made it. To make a new one:");
            println!("  {} --state {} local rm {id}", bakehouse.program.display(), bakehouse.state.display());
            None
        }
        None => {
            let architecture = match std::env::consts::ARCH {
                "aarch64" => "arm64",
                other => other,
            };
            let variables = [("system", system.as_str()), ("recipe", &recipe), ("architecture", architecture)];
            Some(bakehouse.bake(&base::examples().join("base.json"), &variables)?)
        }
    };

    heading("4/4  The child: examples/web.json");
    let web = bakehouse.bake(&base::examples().join("web.json"), &[("system", &system)])?;

    heading("Done");
    if let Some(made) = &made {
        summary("base", made);
    }
    summary("web", &web);
    let again = bakehouse.command(&["show", &web.build], &sh::root());
    println!("  more: {} {}", bakehouse.program.display(), sh::shown(&again).trim_start_matches("bakehouse "));
    println!("  all of it took {}", seconds(begun.elapsed()));
    Ok(())
}

/// Returns the id and name of the image that an earlier run built by this recipe. The recipe is in the name.
fn existing(images: &[Value], base: &str) -> Option<(String, String)> {
    let made_by_it = |image: &&Value| {
        let name = image["name"].as_str();
        name.is_some_and(|name| name.strip_prefix(base).is_some_and(|rest| rest.starts_with('-')))
    };
    let available = |image: &&Value| image["state"].as_str().is_none_or(|state| state == "available");
    let image = images.iter().filter(made_by_it).rfind(available)?;
    Some((image["id"].as_str()?.to_owned(), image["name"].as_str()?.to_owned()))
}

fn summary(what: &str, baked: &Baked) {
    println!("  {what}  {}", baked.images.first().map_or("", |image| &image.name));
    for image in &baked.images {
        println!("    {:<16}{:<24}{}", image.region, image.id, image.disk);
    }
    let phases: Vec<String> = baked.phases.iter().map(|(name, time)| format!("{name} {}", seconds(*time))).collect();
    println!("    time    {}", phases.join(" · "));
    if let Some(bytes) = baked.bytes_changed {
        println!("    changed {}", size(bytes));
    }
    println!();
}

fn heading(text: &str) {
    println!("\n── {text} ──");
}

fn seconds(time: Duration) -> String {
    match time.as_millis() {
        ms @ 0..1_000 => format!("{ms} ms"),
        ms @ 1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        ms => format!("{} min {:02} s", ms / 60_000, ms / 1_000 % 60),
    }
}

fn size(bytes: u64) -> String {
    let mib = bytes >> 20;
    if mib == 0 { format!("{bytes} bytes") } else { format!("{mib} MiB ({bytes} bytes)") }
}

/// Returns the default state directory (XDG base directory specification).
fn default_state() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // The specification says to ignore what is not absolute.
    let home = set("XDG_STATE_HOME").filter(|path| path.is_absolute());
    home.or_else(|| Some(set("HOME")?.join(".local/state")))
        .map(|home| home.join("bakehouse"))
        .ok_or_else(|| Error::Unready("there is no HOME: say where to keep the images with --state DIR".to_owned()))
}

/// The commands below run in another directory.
fn absolute(path: PathBuf) -> Result<PathBuf> {
    std::path::absolute(&path).map_err(Error::file("find", &path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_image_of_the_recipe_is_reused() {
        let image = |id: &str, name: &str, state: &str| serde_json::json!({"id": id, "name": name, "state": state});
        let images = [
            image("ami-1", "debian-12-base-r-100", "available"),
            image("ami-2", "debian-12-base-r-200", "available"),
            image("ami-3", "debian-12-base-other-300", "available"),
            image("ami-4", "debian-12-base-r-400", "pending"),
        ];
        let newest = Some(("ami-2".to_owned(), "debian-12-base-r-200".to_owned()));
        assert_eq!(existing(&images, "debian-12-base-r"), newest);
        assert_eq!(existing(&images, "debian-12-base-o"), None);
    }

    #[test]
    fn times_and_sizes_are_short() {
        assert_eq!(seconds(Duration::from_millis(12)), "12 ms");
        assert_eq!(seconds(Duration::from_millis(2_345)), "2.3 s");
        assert_eq!(seconds(Duration::from_millis(65_000)), "1 min 05 s");
        assert_eq!(size(5), "5 bytes");
        assert_eq!(size(3 << 20), "3 MiB (3145728 bytes)");
    }
}
