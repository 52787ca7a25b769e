//! Scripts of which the template has the lines.

/// Packer's `inline_shebang`.
const SHEBANG: &str = "/bin/sh -e";

/// Returns the script with these lines. As with Packer, there is no line with the interpreter if the first line is one.
pub(crate) fn inline_script(lines: &[String], shebang: Option<&str>) -> String {
    let has_own = shebang.is_none() && lines.first().is_some_and(|line| line.starts_with("#!"));
    let mut text = if has_own { String::new() } else { format!("#!{}\n", shebang.unwrap_or(SHEBANG)) };
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inline_script_begins_with_its_interpreter() {
        let script = |lines: &[&str], shebang| {
            inline_script(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>(), shebang)
        };
        assert_eq!(script(&["a", "b"], None), "#!/bin/sh -e\na\nb\n");
        assert_eq!(script(&["#!/bin/python", "b"], None), "#!/bin/python\nb\n");
        assert_eq!(script(&["#!/bin/python"], Some("/bin/bash -x")), "#!/bin/bash -x\n#!/bin/python\n");
    }
}
