//! The canonical form of files.

use bakehouse_hcl::format;

#[track_caller]
fn assert_formats(text: &str, wanted: &str) {
    assert_eq!(format(text).unwrap(), wanted);
    assert_eq!(format(wanted).unwrap(), wanted, "the canonical form stays as it is");
}

#[test]
fn blocks_are_indented_by_two_blanks() {
    assert_formats(
        "source \"x\"   \"y\"{\n      a=1\n  tags  = {\n\tName=\"n\"\n  }\n inner{\n}\n}\n",
        "source \"x\" \"y\" {\n  a = 1\n  tags = {\n    Name = \"n\"\n  }\n  inner {\n  }\n}\n",
    );
    assert_formats("a = [[\n1,\n2\n]]\n", "a = [[\n  1,\n  2\n]]\n");
    assert_formats("a = f({\nb = 1\n})\n", "a = f({\n  b = 1\n})\n");
}

#[test]
fn assignments_of_consecutive_lines_are_aligned() {
    assert_formats(
        "a = 1\nlonger = 2\n\nb = 3\nlist = [\n  1\n]\nx=1\nyy=2\n",
        "a      = 1\nlonger = 2\n\nb = 3\nlist = [\n  1\n]\nx  = 1\nyy = 2\n",
    );
    assert_formats("日本=1\nabc=2\n", "日本  = 1\nabc = 2\n");
}

#[test]
fn comments_at_the_end_of_lines_are_aligned() {
    assert_formats(
        "a = 1 # one\nbcd = 23   // two\n   # alone\ne = 1\n",
        "a   = 1  # one\nbcd = 23 // two\n# alone\ne = 1\n",
    );
}

#[test]
fn tokens_are_spaced() {
    for (text, wanted) in [
        ("a=1+2*-3", "a = 1 + 2 * -3"),
        ("a = x-1", "a = x-1"),
        ("a = x -1", "a = x - 1"),
        ("a = ! x", "a = !x"),
        ("a = f ( 1,2 )", "a = f(1, 2)"),
        ("a = [ 1,2 ]", "a = [1, 2]"),
        ("a = {b=1}", "a = { b = 1 }"),
        ("a = { }", "a = {}"),
        ("a = x [ 0 ] . y", "a = x[0].y"),
        ("a = b?c:d", "a = b ? c : d"),
        ("a = [for x in[1]:x if x>0]", "a = [for x in [1] : x if x > 0]"),
        ("a = {for k,v in m:k=>v...}", "a = { for k, v in m : k => v... }"),
        ("a = \"x ${ y } ${~ z ~}  b\"", "a = \"x ${y} ${~z~}  b\""),
        ("a = \"%{ if x }b%{ endif }\"", "a = \"%{if x}b%{endif}\""),
        ("a = concat(b ...)", "a = concat(b...)"),
    ] {
        assert_formats(text, wanted);
    }
}

#[test]
fn heredocs_stay_as_they_are() {
    assert_formats(
        "a {\nb = <<-EOT\n   x   y\n     ${ var.z }\n  EOT\n  cd = 1\n}\n",
        "a {\n  b  = <<-EOT\n   x   y\n     ${var.z}\n  EOT\n  cd = 1\n}\n",
    );
}

#[test]
fn line_ends_are_kept() {
    assert_formats("a=1\r\nbc=2\r\n", "a  = 1\r\nbc = 2\r\n");
    assert_formats("", "");
    assert_formats("\n\n\na = 1", "\n\n\na = 1");
}
