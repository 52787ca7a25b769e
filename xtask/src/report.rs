//! What the tests said: read from nextest's report or from libtest's own output.

use std::collections::BTreeMap;

use serde_json::Value;

/// Why a test that is marked `#[ignore]` did not run.
const IGNORED: &str = "it is marked #[ignore]";

/// How the reason of a test begins that is about another situation than this one.
const NOT_APPLICABLE: &str = "not applicable: ";

/// Counts of one or more runs. A test that said `SKIP name: reason` counts as skipped, not as passed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) ran: usize,
    pub(crate) failed: usize,
    /// Tests that the harness itself left out (`#[ignore]`) without a name.
    pub(crate) ignored: usize,
    /// Why, by name.
    pub(crate) skips: BTreeMap<String, String>,
}

impl Report {
    pub(crate) fn skipped(&self) -> usize {
        self.skips.len() + self.ignored
    }

    /// How many skipped themselves because something was missing. `#[ignore]` is a decision, and what is about another
    /// situation, such as not being root, can't be seen in this one.
    pub(crate) fn lacked(&self) -> usize {
        let lacks = |reason: &&String| *reason != IGNORED && !reason.starts_with(NOT_APPLICABLE);
        self.skips.values().filter(lacks).count()
    }

    pub(crate) fn passed(&self) -> usize {
        self.ran.saturating_sub(self.failed + self.skips.len())
    }

    /// One check that is no test of any harness.
    pub(crate) fn count(&mut self, passed: bool) {
        self.ran += 1;
        self.failed += usize::from(!passed);
    }

    /// A check that could not be made.
    pub(crate) fn skip(&mut self, name: &str, reason: &str) {
        self.ran += 1;
        self.skips.insert(name.to_owned(), reason.to_owned());
    }

    /// Takes in nextest's JUnit report. The totals are attributes of its root element.
    pub(crate) fn add_junit(&mut self, xml: &str) {
        let root = xml.find("<testsuites").map_or("", |start| &xml[start..]);
        let root = root.split('>').next().unwrap_or_default();
        let total = |name: &str| -> usize {
            let value = root.split_once(&format!(" {name}=\"")).map_or("", |(_, rest)| rest);
            value.split('"').next().unwrap_or_default().parse().unwrap_or_default()
        };
        self.ran += total("tests");
        self.failed += total("failures") + total("errors");
        let mut class = "";
        for line in xml.lines() {
            if line.contains("<testcase ") {
                let rest = line.split_once(" classname=\"").map_or("", |(_, rest)| rest);
                class = rest.split('"').next().unwrap_or_default();
            }
            // A test's output follows the tag that opens it, on the same line.
            let text = line.split(['>', '<']).find(|text| text.starts_with("SKIP "));
            self.find_skip(class, &unescape(text.unwrap_or_default()));
        }
    }

    /// Takes in nextest's list of the tests it does not run.
    pub(crate) fn add_ignored(&mut self, list: &Value) {
        for (suite, found) in list["rust-suites"].as_object().into_iter().flatten() {
            for (test, facts) in found["testcases"].as_object().into_iter().flatten() {
                if facts["ignored"] == true {
                    self.skip(&format!("{suite} {test}"), IGNORED);
                }
            }
        }
    }

    /// Takes in a line of libtest's output.
    pub(crate) fn add_libtest(&mut self, line: &str) {
        let Some(counts) = line.strip_prefix("test result: ") else {
            return self.find_skip("", line);
        };
        let counts = counts.split_once(". ").map_or("", |(_, counts)| counts);
        let count = |word: &str| -> usize {
            let found = counts.split("; ").find_map(|part| part.strip_suffix(word));
            found.and_then(|number| number.trim().parse().ok()).unwrap_or_default()
        };
        self.ran += count(" passed") + count(" failed");
        self.failed += count(" failed");
        self.ignored += count(" ignored");
    }

    /// Two crates may have tests of the same name: `class` distinguishes them.
    fn find_skip(&mut self, class: &str, line: &str) {
        let said = line.trim().strip_prefix("SKIP ");
        if let Some((name, reason)) = said.and_then(|rest| rest.split_once(": ")) {
            let name = format!("{class} {name}");
            self.skips.insert(name.trim().to_owned(), reason.trim().to_owned());
        }
    }
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_nextests_report() {
        let xml = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="4" failures="1" errors="0" time="1.2">
    <testsuite name="a" tests="4" disabled="0" errors="0" failures="1">
        <testcase name="root_one" classname="a"><system-out>
running 1 test
SKIP root_one: not root &amp; no &quot;mkfs.xfs&quot;
</system-out></testcase>
        <testcase name="root_two" classname="a"><system-out>SKIP root_two: not root</system-out></testcase>
        <testcase name="three" classname="a"><failure message="assert"/></testcase>
        <testcase name="four" classname="a"/>
    </testsuite>
</testsuites>"#;
        let mut report = Report::default();
        report.add_junit(xml);
        assert_eq!((report.passed(), report.failed, report.skipped()), (1, 1, 2));
        assert_eq!(report.skips["a root_one"], "not root & no \"mkfs.xfs\"");
        assert_eq!(report.skips["a root_two"], "not root");
    }

    #[test]
    fn a_name_in_two_crates_is_two_tests() {
        let mut report = Report::default();
        for class in ["a", "b"] {
            let tag = format!("<testcase name=\"root_x\" classname=\"{class}\">");
            report.add_junit(&format!("<testsuites tests=\"1\">\n{tag}\n<system-out>SKIP root_x: why\n"));
        }
        assert_eq!((report.passed(), report.skipped()), (0, 2));
    }

    #[test]
    fn a_test_that_is_ignored_lacks_nothing() {
        let mut report = Report::default();
        report.add_ignored(&serde_json::json!({"rust-suites": {"a": {"testcases": {"b": {"ignored": true}}}}}));
        assert_eq!((report.skipped(), report.lacked()), (1, 0));
        report.add_libtest("SKIP root_x: not root");
        assert_eq!((report.skipped(), report.lacked()), (2, 1));
        report.add_libtest("SKIP y: not applicable: this is root");
        assert_eq!((report.skipped(), report.lacked()), (3, 1));
    }

    #[test]
    fn reads_libtests_output() {
        let mut report = Report::default();
        for line in [
            "test result: FAILED. 5 passed; 2 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.10s",
            "SKIP root_x: not root",
            "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "a line that tells nothing",
        ] {
            report.add_libtest(line);
        }
        assert_eq!((report.passed(), report.failed, report.skipped()), (5, 2, 2));
    }
}
