//! Tables from all that they can be made of, and what they look like.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::*;
use crate::__result;
use crate::tests::host::turn;

#[derive(Debug)]
struct Run {
    workers: u32,
    #[allow(dead_code)]
    time_ms: f64,
}

fn runs() -> [Run; 2] {
    [
        Run {
            workers: 1,
            time_ms: 98.123456,
        },
        Run {
            workers: 2,
            time_ms: 51.5,
        },
    ]
}

#[test]
fn module_example() {
    let runs = runs();
    assert_eq!(
        of(&runs).to_string(),
        "workers  time_ms\n-------  -------\n      1   98.123\n      2     51.5"
    );
    let table = table! {
        "workers" => runs.iter().map(|run| run.workers),
        "speedup" => [1.0, 1.9053],
    }
    .unwrap();
    assert!(table.to_string().ends_with("      2   1.9053"), "{table}");
}

#[test]
fn macro_example() {
    let workers = vec![1, 2, 4];
    let table = table! { "workers" => &workers, "half" => workers.iter().map(|n| *n as f64 / 2.0) }
        .unwrap();
    assert_eq!(table.n_rows(), 3);
    assert_eq!(table.header(), ["workers", "half"]);
}

#[test]
fn a_cell_may_end_in_the_macro() {
    let turn = turn();
    __result!(table! { "n" => [1, 2] });
    assert!(turn.frame().1.contains("<table>"));
    __result!(table! { "n" => [1, 2], "m" => [1] });
    assert!(turn.frame().1.contains(r#"column \"m\" has 1 rows"#));
    __result!(of([1, 2]));
    assert!(turn.frame().1.contains("<table>"));
}

#[test]
fn unequal_columns_and_rows_are_errors_with_a_cure() {
    let check = |error: TableError, first: &str| {
        let text = error.to_string();
        let starts: Vec<_> = text.lines().take(3).collect();
        assert_eq!(starts[0], first);
        assert!(
            starts[1].starts_with("why: ") && starts[2].starts_with("do:  "),
            "{text}"
        );
        assert_eq!(format!("{error:?}"), text, "unwrap shows the lines too");
    };
    check(
        table! { "a" => [1, 2, 3], "b" => [1, 2, 3], "c" => [1] }.unwrap_err(),
        "table! { … }: column \"c\" has 1 rows where \"a\" has 3",
    );
    check(
        rows(["a", "b"], [vec![1, 2], vec![3]]).unwrap_err(),
        "table::rows(header, rows): row 1 has 1 cells where there are 2 columns",
    );
    check(
        matrix(&[vec![1], vec![2], vec![3, 4]]).unwrap_err(),
        "table::matrix(rows): row 2 has 2 cells where there are 1 columns",
    );
}

#[test]
fn rows_and_matrices() {
    let table = rows(["n", "n²"], [[1, 1], [2, 4]]).unwrap();
    assert_eq!(table.to_string(), "n  n²\n-  --\n1   1\n2   4");
    let table = matrix([[1.5, 2.0], [3.0, 4.25]]).unwrap();
    assert_eq!(
        table.to_string(),
        "     0     1\n-  ---  ----\n0  1.5     2\n1    3  4.25"
    );
    // As ndarray's and nalgebra's: an iterator whose items can be iterated over.
    let flat = [1, 2, 3, 4, 5, 6];
    assert_eq!(matrix(flat.chunks(3)).unwrap().n_rows(), 2);
    assert_eq!(matrix(Vec::<Vec<u8>>::new()).unwrap().n_rows(), 0);
}

#[test]
fn maps_are_sorted_by_key_unless_they_have_an_order() {
    let expected = "key  value\n---  -----\na       10\nb        2";
    assert_eq!(
        map(&HashMap::from([("b", 2), ("a", 10)])).to_string(),
        expected
    );
    let keys = |table: &Table| {
        let text = table.to_string();
        text.lines()
            .skip(2)
            .map(|line| line.split_whitespace().next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        keys(&map(&HashMap::from([(10, 'a'), (9, 'b')]))),
        ["9", "10"]
    );
    assert_eq!(
        keys(&map(&BTreeMap::from([(10, 'a'), (9, 'b')]))),
        ["9", "10"]
    );
    assert_eq!(keys(&map(&[("z", 1), ("a", 2)])), ["z", "a"]);
    let runs: BTreeMap<_, _> = runs().into_iter().map(|run| (run.workers, run)).collect();
    assert_eq!(map(&runs).header(), ["key", "workers", "time_ms"]);
}

#[test]
fn what_has_no_fields_has_one_column() {
    #[derive(Debug)]
    #[allow(dead_code)]
    enum Step {
        Go { to: u32 },
        Wait { to: u32 },
        Stop,
    }
    assert_eq!(of([1, 2]).header(), ["value"]);
    assert_eq!(of([Step::Go { to: 1 }, Step::Stop]).header(), ["value"]);
    assert_eq!(
        of([Step::Go { to: 1 }, Step::Wait { to: 2 }]).header(),
        ["value"]
    );
    assert_eq!(
        of([Step::Go { to: 1 }, Step::Go { to: 2 }]).header(),
        ["to"]
    );
    assert_eq!(of([(1, "a"), (2, "b")]).header(), ["0", "1"]);
    assert_eq!(of(Vec::<Run>::new()).to_string(), "value\n-----");
}

#[test]
fn numbers_stand_at_the_right_also_beside_missing_ones() {
    let table = table! {
        "time" => [Duration::from_micros(1_500), Duration::from_secs(2)],
        "n" => [Some(5), None],
        "name" => ["a", "long"],
    }
    .unwrap();
    assert_eq!(
        table.to_string(),
        "  time     n  name\n------  ----  ----\n1.5 ms     5  a\n   2 s  None  long"
    );
}

#[test]
fn long_tables_are_cut_in_the_middle_and_say_so() {
    let table = of(0..1_000_000);
    assert_eq!(table.n_rows(), 1_000_000);
    let text = table.to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2 + 21);
    assert_eq!(lines[12], "… 999980 rows left out");
    assert_eq!((lines[11].trim(), lines[13].trim()), ("9", "999990"));
    let html = table.show();
    let html = html.get("text/html").unwrap();
    assert!(html.contains("… 999980 rows left out") && html.contains(">999999</td>"));

    let five = of(0..1_500).limit(5).to_string();
    let numbers: Vec<_> = five.lines().skip(2).map(str::trim).collect();
    assert_eq!(
        numbers,
        ["0", "1", "2", "… 1495 rows left out", "1498", "1499"]
    );
    assert_eq!(of(0..1_500).limit(9_999).to_string().lines().count(), 1_502);
    assert_eq!(
        of(0..5_000).limit(9_999).to_string().lines().nth(1_002),
        Some("… 3000 rows left out")
    );
    assert!(
        of(0..3)
            .limit(1)
            .to_string()
            .ends_with("    0\n… 2 rows left out")
    );
    assert!(
        of(0..3)
            .limit(0)
            .to_string()
            .ends_with("-----\n… 3 rows left out")
    );
    assert!(of(0..20).to_string().lines().count() == 22);
}

#[test]
fn wide_tables_are_cut_in_the_middle_and_say_so() {
    let table = matrix([0..30, 30..60]).unwrap().limit_columns(4);
    assert_eq!(
        table.to_string(),
        "    0  …  28  29\n-  --  -  --  --\n0   0  …  28  29\n1  30  …  58  59\n(27 columns left out)"
    );
    let html = table.show();
    let html = html.get("text/html").unwrap();
    assert!(
        html.contains("<td>…</td>") && html.contains("27 columns left out"),
        "{html}"
    );
}

#[test]
fn cells_are_escaped_cut_and_rounded() {
    let table =
        table! { "<b>" => ["a & b", &"x".repeat(99)], "root" => [1.73205081, 2.0] }.unwrap();
    let html = table.show();
    let html = html.get("text/html").unwrap();
    assert!(
        html.contains("&lt;b&gt;") && html.contains("a &amp; b"),
        "{html}"
    );
    assert!(
        html.contains("<td style=\"text-align:right\">1.7321</td>"),
        "{html}"
    );
    let text = table.digits(3).width(4).to_string();
    assert_eq!(text, "<b>   root\n----  ----\na &…  1.73\nxxx…     2");
}
