//! One job's process on its own, as tests and benches start it. The `bakehouse` command runs the same by a hidden
//! subcommand.

fn main() -> std::process::ExitCode {
    bakehouse_agent::job::main()
}
