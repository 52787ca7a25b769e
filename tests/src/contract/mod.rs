//! The contract of the ports `Store` and `Registry`: tests that every implementation passes. The files of a local build
//! keep the part for a [`Store`](store); the stack's table and the table in memory keep all of it.
//!
//! An implementation provides a fixture ([`StoreFixture`] or [`TableFixture`]) and a function that runs one test:
//! `fn run(test: &str, case: impl AsyncFnOnce(Fixture))`. [`store_contract!`](crate::store_contract) or
//! [`table_contract!`](crate::table_contract) then declares one test for each case.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]

mod fixture;
pub mod leases;
pub mod power;
pub mod records;
pub mod registry;
pub mod store;

pub use fixture::{HOST_SILENCE, OneHost, StoreFixture, TableFixture};
pub use records::{build, id, report};

/// Declares a test for each of these functions of a module of the contract.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_tests {
    ($run:path, $module:ident: $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $run(stringify!($name), async |fixture| $crate::contract::$module::$name(&fixture).await);
            }
        )*
    };
}

/// Declares the tests of a [`Store`](crate::contract::store). `$run` runs a case on a new
/// [`StoreFixture`](crate::contract::StoreFixture).
#[macro_export]
macro_rules! store_contract {
    ($run:path) => {
        $crate::contract_tests! { $run, store:
            of_two_saves_over_one_version_the_second_fails
            a_record_that_does_not_exist_is_not_found
            a_large_record_is_saved_and_loaded
            a_build_gets_the_same_lease_again
            slots_run_out_and_are_released
            a_device_name_to_avoid_is_not_leased_again
            a_requested_device_name_is_leased_or_none_is
            a_lease_that_was_lost_is_not_renewed
            a_lease_ends_with_its_time
            a_host_of_another_architecture_leases_no_slot
        }
    };
}

/// Declares all tests of a stack's table. `$run` runs a case on a new [`TableFixture`](crate::contract::TableFixture);
/// `$run_with_host` on a [`OneHost`](crate::contract::OneHost) around one.
#[macro_export]
macro_rules! table_contract {
    ($run:path, $run_with_host:path) => {
        mod store {
            $crate::store_contract!($run_with_host);
        }
        mod registry {
            $crate::contract_tests! { $run, registry:
                a_build_is_created_once
                builds_are_listed_by_state_and_by_age
                more_hosts_than_one_page_are_all_listed
                a_build_is_listed_with_the_ids_of_its_resources
                an_older_report_of_a_host_changes_nothing
                a_report_from_a_clock_far_ahead_is_replaced
                a_host_is_drained_undrained_and_forgotten
                recipes_are_kept_replaced_and_removed
                a_record_of_a_newer_format_is_refused
            }
        }
        mod leases {
            $crate::contract_tests! { $run, leases:
                concurrent_builds_get_one_slot_each
                a_heartbeat_and_a_drain_leave_the_leases_alone
                a_lost_host_is_left_and_a_forgotten_one_has_no_leases
                the_ready_host_with_the_most_free_slots_is_leased
                hosts_of_another_architecture_are_passed_over
                a_lease_of_another_device_is_not_the_builds
            }
        }
        mod power {
            $crate::contract_tests! { $run, power:
                power_is_set_only_over_the_version_that_was_read
                only_a_host_that_is_on_leases_slots
                the_time_of_the_last_use_is_recorded
            }
        }
    };
}
