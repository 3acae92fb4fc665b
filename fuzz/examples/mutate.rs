//! The targets under a simple mutator, for machines without libFuzzer: seeds, spliced and bitten.
//! `mutate SECONDS [TARGET…]`

use std::time::{Duration, Instant};

use ecr_fuzz::TARGETS;

/// What the targets are about, so that mutations begin near something sound.
const SEEDS: [&str; 24] = [
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6",
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"a/b","config":{"mediaType":"a/b","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":2},"layers":[],"subject":{"mediaType":"a/b","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":1},"annotations":{"a":"b"}}"#,
    r#"{"schemaVersion":2,"manifests":[{"mediaType":"a","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":3,"platform":{"os":"linux","architecture":"amd64"}}]}"#,
    r#"{"schemaVersion":1,"fsLayers":[{"blobSum":"sha256:1"}],"history":[],"signatures":[]}"#,
    r#"{"repositoryName":"aa","imageIds":[{"imageTag":"1"}],"maxResults":5,"nextToken":"x","filter":{"tagStatus":"ANY"}}"#,
    r#"{"Version":"2012-10-17","Statement":[{"Sid":"x","Effect":"Deny","NotPrincipal":{"AWS":["111122223333","arn:aws:iam::111122223333:role/a"]},"NotAction":["ecr:Get*","ecr:?"],"Resource":"arn:aws:ecr:*:*:repository/${aws:username}","Condition":{"ForAllValues:StringLikeIfExists":{"aws:TagKeys":["a*"]},"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"DateLessThan":{"aws:CurrentTime":"2026-01-01"},"NumericEquals":{"aws:EpochTime":1},"Null":{"a":true}}}]}"#,
    r#"{"rules":[{"rulePriority":1,"description":"x","selection":{"tagStatus":"tagged","tagPatternList":["a*b*"],"countType":"sinceImagePushed","countUnit":"days","countNumber":14},"action":{"type":"expire"}}]}"#,
    r#"{"rules":[{"rulePriority":2,"selection":{"tagStatus":"untagged","storageClass":"archive","countType":"sinceImageTransitioned","countUnit":"days","countNumber":90},"action":{"type":"transition","targetStorageClass":"archive"}}]}"#,
    "repositoryName=a,tags=[{Key=a,Value='b,c'},{Key=\"d\\\"e\"}],x={y=[1,2],z=},f.g=h",
    "a[?b > `1` && c != 'x'] | [0].{d: e, f: sort_by(@, &b)[*].c[::2]} || join(',', keys(d))",
    "a: &x [1, 0x1f, 1e3, .inf, ~, yes, 2001-12-14t21:59:43.10-05:00]\nb: *x\nc: |\n  text\n? d\n: !!str e\n<<: {f: g}\n",
    r#"{"auths":{"https://a.b/v1/":{"auth":"QVdTOng="}},"credHelpers":{"c.d":"ecr-login"},"credsStore":"x","HttpHeaders":{}}"#,
    r#"{"auths":{"h.example/team":{"username":"u","password":"p"},"h.example":{"identitytoken":"x"},"docker.io":{"registrytoken":"y"},"h.example:5000":{"auth":"PHRva2VuPjp4"}},"credHelpers":{}}"#,
    "111122223333.dkr.ecr.us-east-1.amazonaws.com/a/b:tag@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "https://public.ecr.aws/a/b",
    "[::1]:5000/a",
    "aa/manifests/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855?n=5&last=x",
    "aa/blobs/uploads/?mount=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855&from=aa",
    "bytes 0-2/3",
    "Basic QVdTOmFub255bW91cw==",
    "GET /_blob/sha256:1?expires=9&signature=x HTTP/1.1\r\nRange: bytes=5-\r\n\r\n",
    "aa/tags/list?n=5&last=%00",
    "1?tag=x&tag=y",
    "aa/referrers/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855?artifactType=a%2Fb&after=1",
];
const WORDS: [&str; 16] = [
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "-1",
    "9223372036854775807",
    "1e999",
    "\\ud800",
    "é",
    "*",
    "..",
    "%2e",
];

struct Random(u64);

impl Random {
    fn next(&mut self, bound: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound.max(1)
    }
}

fn mutated(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut data = seeds[random.next(seeds.len())].clone();
    for _ in 0..random.next(6) {
        let place = random.next(data.len() + 1);
        let end = (place + random.next(12)).min(data.len());
        match random.next(6) {
            0 => drop(data.drain(place..end)),
            1 => drop(data.splice(place..end, WORDS[random.next(WORDS.len())].bytes())),
            2 => data.insert(place, random.next(256) as u8),
            3 if place < data.len() => data[place] ^= 1 << random.next(8),
            4 => {
                let piece = data[place..end].to_vec();
                let piece = piece.repeat(1 + random.next(200));
                data.splice(place..place, piece);
            }
            _ => {
                let other = &seeds[random.next(seeds.len())];
                let start = random.next(other.len());
                data.splice(place..end, other[start..].iter().copied());
            }
        }
    }
    data.insert(0, random.next(256) as u8);
    data
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().and_then(|text| text.parse().ok()).expect("SECONDS");
    let wanted: Vec<String> = arguments.collect();
    let mut seeds: Vec<Vec<u8>> = SEEDS.iter().map(|seed| seed.as_bytes().to_vec()).collect();
    seeds.push(Vec::new());
    let prefixed = ["manifest", "operation", "registry", "listing"];
    for (name, target) in
        TARGETS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|one| one == name))
    {
        let (begun, mut count, mut slowest) = (Instant::now(), 0_u64, Duration::ZERO);
        let mut seeds = seeds.clone();
        if let Ok(folder) = std::fs::read_dir(format!("corpus/{name}")) {
            seeds.extend(folder.filter_map(|entry| std::fs::read(entry.ok()?.path()).ok()));
        }
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        while begun.elapsed() < Duration::from_secs(seconds) {
            let data = mutated(&mut random, &seeds);
            let data = if prefixed.contains(name) { &data[..] } else { &data[1..] };
            std::fs::write(std::env::temp_dir().join("ecr-fuzz-last"), data).expect("a temporary file");
            let start = Instant::now();
            target(data);
            if start.elapsed() > slowest {
                slowest = start.elapsed();
                std::fs::write(std::env::temp_dir().join(format!("ecr-fuzz-slowest-{name}")), data)
                    .expect("a temporary file");
            }
            count += 1;
        }
        println!("{name}: {count} inputs, the slowest took {slowest:?}");
    }
}
