//! Tests in a process of their own, whose environment says what the device is.

/// Whether a test is to run here: true in a process with these variables, else it runs again in one, and is to succeed.
pub fn here(test: &str, variables: &[(&str, &str)]) -> bool {
    const INNER: &str = "EMULATOR_TEST_AGAIN";
    if std::env::var(INNER).is_ok_and(|inner| inner == test) {
        return true;
    }
    let program = std::env::current_exe().expect("a test is a program");
    let ended = std::process::Command::new(program)
        .args([test, "--exact", "--nocapture"])
        .env(INNER, test)
        .envs(variables.iter().copied())
        .output()
        .expect("the test runs again");
    let said = [ended.stdout, ended.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(ended.status.success() && said[0].contains("1 passed"), "{}\n{}", said[0], said[1]);
    false
}
