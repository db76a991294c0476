//! The configurations of collectors in the documentation: that they can be read, hang
//! together, and name what throughline writes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use throughline::{END_ATTRIBUTE, Ending, HEARTBEAT_ATTRIBUTE};
use yaml_rust2::{Yaml, YamlLoader};

/// The blocks of YAML of a page, each a document.
fn recipes(page: &str) -> Vec<Yaml> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    let text = fs::read_to_string(path).expect("the page");
    let blocks = text.split("```yaml\n").skip(1);
    blocks
        .map(|block| {
            let (yaml, _) = block.split_once("```").expect("the block ends");
            let mut documents = YamlLoader::load_from_str(yaml)
                .unwrap_or_else(|error| panic!("{page}: {error} in\n{yaml}"));
            assert_eq!(documents.len(), 1, "{page}:\n{yaml}");
            documents.remove(0)
        })
        .collect()
}

fn keys(yaml: &Yaml) -> BTreeSet<&str> {
    yaml.as_hash().into_iter().flatten().map(|(key, _)| key.as_str().expect("a text")).collect()
}

fn texts(yaml: &Yaml) -> Vec<&str> {
    yaml.as_vec().into_iter().flatten().map(|text| text.as_str().expect("a text")).collect()
}

/// Whatever a pipeline names is configured, and whatever is configured is in a pipeline.
fn assert_hangs_together(collector: &Yaml) {
    for part in ["receivers", "processors", "exporters"] {
        let pipelines = collector["service"]["pipelines"].as_hash().expect("pipelines");
        let used: BTreeSet<_> =
            pipelines.values().flat_map(|pipeline| texts(&pipeline[part])).collect();
        assert_eq!(keys(&collector[part]), used, "{part}");
    }
}

/// What decides has a name of its own, and its settings under the name of its type.
fn assert_policies(policies: &Yaml) {
    let mut names = BTreeSet::new();
    for policy in policies.as_vec().expect("a list") {
        let (name, kind) = (policy["name"].as_str(), policy["type"].as_str().expect("a type"));
        assert!(names.insert(name.expect("a name")), "{policy:?}");
        assert_eq!(keys(policy), BTreeSet::from(["name", "type", kind]), "{policy:?}");
        let settings = &policy[kind];
        match kind {
            "and" => assert_policies(&settings["and_sub_policy"]),
            "drop" => assert_policies(&settings["drop_sub_policy"]),
            "latency" => assert!(settings["threshold_ms"].as_i64().is_some(), "{policy:?}"),
            "probabilistic" => {
                assert!(settings["sampling_percentage"].as_i64().is_some(), "{policy:?}");
            }
            "status_code" => assert_eq!(texts(&settings["status_codes"]), ["ERROR"]),
            "string_attribute" => {
                assert!(settings["key"].as_str().is_some(), "{policy:?}");
                assert!(!texts(&settings["values"]).is_empty(), "{policy:?}");
            }
            _ => panic!("the processor has no policy `{kind}`"),
        }
    }
}

#[test]
fn the_two_layers_for_whole_traces_are_a_configuration_that_hangs_together() {
    let recipes = recipes("docs/tail-sampling.md");
    let [first, second] = &recipes[..] else { panic!("{} recipes", recipes.len()) };
    [first, second].into_iter().for_each(assert_hangs_together);

    // All spans of a trace go to one collector, on the port on which it listens.
    let spread = &first["exporters"]["loadbalancing"];
    assert_eq!(spread["routing_key"].as_str(), Some("traceID"));
    // A text for the exporter, which refuses to start with a number.
    let port = spread["resolver"]["dns"]["port"].as_str().expect("a port, as a text");
    let listens = second["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"].as_str();
    assert_eq!(listens, Some(format!("0.0.0.0:{port}").as_str()));

    let sampling = &second["processors"]["tail_sampling"];
    assert_policies(&sampling["policies"]);
    let most = sampling["num_traces"].as_i64().expect("a number");
    for cache in ["sampled_cache_size", "non_sampled_cache_size"] {
        assert!(sampling["decision_cache"][cache].as_i64() > Some(most), "{cache}");
    }
    let processors = texts(&second["service"]["pipelines"]["traces"]["processors"]);
    assert_eq!(processors, ["tail_sampling", "batch"], "spans are batched after the decision");

    // What panics, panics by our attribute.
    let policies = sampling["policies"].as_vec().into_iter().flatten();
    let panicked = policies.clone().find(|policy| policy["name"].as_str() == Some("panicked"));
    let panicked = &panicked.expect("a policy for panics")["string_attribute"];
    assert_eq!(panicked["key"].as_str(), Some(END_ATTRIBUTE));
    let value = Ending::Panicked.as_str().expect("a value");
    assert_eq!(texts(&panicked["values"]), [value]);
}

#[test]
fn what_leaves_heartbeats_out_names_the_attribute_that_marks_them() {
    let recipes = recipes("docs/FAQ.md");
    let [filter] = &recipes[..] else { panic!("{} recipes", recipes.len()) };
    let conditions = texts(&filter["processors"]["filter/heartbeats"]["traces"]["span"]);
    assert_eq!(conditions, [format!("attributes[\"{HEARTBEAT_ATTRIBUTE}\"] == true")]);
}
