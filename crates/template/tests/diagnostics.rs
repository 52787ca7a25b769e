//! The mistakes that people make most, as they see them.

#![allow(clippy::unwrap_used)] // A mistake in a test may panic.

mod common;

use bakehouse_template::{LARGEST, TemplateSource};
use common::{Fixture, messages, mistake, with_options};

macro_rules! snapshot {
    ($name:ident, $template:expr) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(Fixture::new($template).report());
        }
    };
}

snapshot!(
    a_trailing_comma,
    "{\n  \"builders\": [{\n    \"type\": \"amazon-chroot\",\n    \"ami_name\": \"web\",\n  }]\n}\n"
);

snapshot!(a_comment, "{\n  // the base\n  \"builders\": []\n}\n");

snapshot!(a_text_that_is_not_closed, "{\n  \"builders\": [\"\n}\n");

snapshot!(
    an_unknown_option,
    r#"{
  "builders": [{
    "type": "amazon-chroot",
    "ami_nam": "web {{timestamp}}",
    "source_ami": "ami-0123456789abcdef0",
    "mount_partitions": "2"
  }]
}
"#
);

snapshot!(
    an_option_that_is_not_done_yet,
    r#"{
  "builders": [{
    "type": "amazon-chroot",
    "ami_name": "web {{timestamp}}",
    "source_ami": "ami-0123456789abcdef0",
    "encrypt_boot": true
  }],
  "post-processors": ["manifest"]
}
"#
);

snapshot!(
    a_colon_in_the_name,
    r#"{
  "builders": [{
    "type": "amazon-chroot",
    "ami_name": "web {{isotime}}",
    "source_ami": "ami-0123456789abcdef0"
  }]
}
"#
);

snapshot!(
    a_function_and_a_field_that_are_not_there,
    r#"{
  "builders": [{
    "type": "amazon-chroot",
    "ami_name": "web {{timestmap}}",
    "source_ami": "ami-0123456789abcdef0",
    "tags": {"Base": "a \"quoted\" {{.SourceAMIname}}", "By": "{{env `USER`}}"}
  }]
}
"#
);

snapshot!(
    a_file_that_is_not_there,
    r#"{
  "builders": [{
    "type": "amazon-chroot",
    "ami_name": "web",
    "source_ami": "ami-0123456789abcdef0"
  }],
  "provisioners": [
    {"type": "shell", "script": "setpu.sh"},
    {"type": "file", "source": "files", "destination": "etc/app"}
  ]
}
"#
);

snapshot!(
    a_variable_that_must_be_given,
    r#"{
  "variables": {"base": null, "size": 8},
  "builders": [{
    "type": "amazon-chroot",
    "ami_name": "web",
    "source_ami": "{{user `base`}}"
  }]
}
"#
);

snapshot!(
    braces_for_another_program,
    r#"{
  "builders": [{
    "type": "amazon-chroot",
    "ami_name": "web",
    "source_ami": "ami-0123456789abcdef0"
  }],
  "provisioners": [
    {"type": "shell", "inline": ["docker ps --format '{{json .}}'"]}
  ]
}
"#
);

snapshot!(
    a_key_that_comes_twice,
    r#"{
  "builders": [{
    "type": "amazon-chroot",
    "ami_name": "web",
    "source_ami": "ami-0123456789abcdef0",
    "ami_name": "db"
  }]
}
"#
);

snapshot!(
    much_at_once,
    r#"{
  "variables": {"accounts": "12345"},
  "builders": [{
    "type": "amazon-chroot",
    "region": "us-east",
    "access_key": "AKIAIOSFODNN7EXAMPLE",
    "source_ami": "debian-12",
    "from_scratch": "yes",
    "root_volume_size": "8 GB",
    "root_device_name": "/dev/xvda",
    "ami_users": "{{user `accounts`}}",
    "device_path": "/dev/nvme1n1",
    "chroot_mounts": [["bind", "/dev"]],
    "mount_path": "/mnt/{{.Devise}}"
  }],
  "provisioners": [
    {"type": "shel", "inline": ["true"]},
    {"type": "shell", "inline": ["true"], "script": "setup.sh", "timeout": 30},
    {"type": "shell", "inline": ["echo {{.SourceAMI}}"], "environment_vars": ["A"]}
  ]
}
"#
);

#[test]
fn a_template_or_variable_file_that_is_too_large_is_refused_by_name() {
    let large = format!("{{\"_\": \"{}\"}}", "x".repeat(LARGEST));
    assert_eq!(mistake(&large).1, "the template web.json cannot be read: it is larger than 4 MiB");
    let mut fixture = Fixture::new("{}").var_file("vars.json", &large);
    let told = messages(&fixture.load().unwrap_err());
    assert!(
        told.iter().any(|(_, told)| told.ends_with("vars.json cannot be read: it is larger than 4 MiB")),
        "{told:?}"
    );
    fixture.request.template = TemplateSource::Path("vars.json".into());
    let told = messages(&fixture.load().unwrap_err());
    assert_eq!(told[0].1, "the template vars.json cannot be read: it is larger than 4 MiB");
}

#[test]
fn what_is_quoted_of_a_template_is_cut_and_cannot_draw_on_a_terminal() {
    let key = format!("é\\u001b[31m{}z", "é".repeat(5000));
    let (_, message) = mistake(&with_options(&format!("\"{key}\": 1")));
    assert!(
        message.len() < 700 && message.contains(" … ") && message.ends_with("z` is not an option of amazon-chroot")
    );
    assert!(!message.contains('\u{1b}'), "{message}");
}
