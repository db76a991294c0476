//! The relay as its users see it: a process that is started on each runtime, bytes
//! that go in, and bytes that come out. Each case is written once.

#![cfg(unix)]

mod behaviour;
mod ending;
mod http;
mod https;
mod process;
mod target;
mod traceparent;
mod tracestate;

/// Mounts every case on one runtime.
macro_rules! on {
    ($($name:ident = $runtime:literal),*) => {$(
        mod $name {
            on!(@cases $runtime behaviour {
                each_element_is_posted_in_order_with_its_arguments_as_they_came
                null_and_an_empty_array_forward_nothing
                any_other_body_is_answered_400
                a_body_that_is_too_long_to_be_read_is_answered_413
                another_path_or_method_is_refused
                a_target_that_fails_does_not_fail_the_request
                a_target_behind_https_is_reached_if_its_certificate_is_trusted
                an_element_that_hangs_leaves_time_for_the_next_one
                no_header_of_the_request_is_passed_on
                requests_are_served_at_once_and_contexts_never_mix
                header_fields_of_16_kib_are_taken
                each_element_has_a_span_of_its_own
                an_unsampled_trace_goes_on_unsampled
                baggage_goes_on
                other_propagators_are_chosen_by_the_variable
                a_program_that_is_switched_off_hands_on_what_came
            });
            on!(@cases $runtime ending {
                term_and_int_flush_and_exit_0
                requests_under_way_are_finished_first
                without_an_endpoint_nothing_is_exported
                an_address_that_is_taken_is_named
            });
            on!(@cases $runtime traceparent {
                both_missing
                traceparent_without_tracestate
                duplicated
                header_name
                header_name_in_any_case
                version_00
                version_cc
                version_ff
                version_with_illegal_characters
                version_too_long
                version_too_short
                trace_id_all_zero
                trace_id_with_illegal_characters
                trace_id_too_long
                trace_id_too_short
                parent_id_all_zero
                parent_id_with_illegal_characters
                parent_id_too_long
                parent_id_too_short
                trace_flags_with_illegal_characters
                trace_flags_too_long
                trace_flags_too_short
                white_space_around
                several_requests_with_a_valid_traceparent
                several_requests_without_a_traceparent
                several_requests_with_an_illegal_traceparent
                bytes_that_are_not_ascii
                random_flag
            });
            on!(@cases $runtime tracestate {
                without_traceparent
                with_traceparent
                header_name
                header_name_in_any_case
                empty_header
                several_headers_of_different_keys
                duplicated_keys
                all_allowed_characters
                white_space_around
                keys_with_illegal_characters
                keys_of_illegal_vendor_format
                member_count_limit
                key_length_limit
                values_with_illegal_characters
                oversized
            });
        }
    )*};
    (@cases $runtime:literal $module:ident { $($case:ident)* }) => {
        mod $module {
            $(#[test]
            fn $case() {
                crate::$module::$case($runtime);
            })*
        }
    };
}

on! { tokio = "tokio", smol = "smol", async_std = "async-std" }
