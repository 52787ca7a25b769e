//! The process of a job as a program of its own, for tests and benchmarks. The programs `bakehouse` and
//! `bakehouse-agent` run the same with the hidden subcommand `agent-job`.

fn main() -> std::process::ExitCode {
    bakehouse_agent::supervisor::main()
}
