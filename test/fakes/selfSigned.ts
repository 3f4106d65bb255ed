/** A certificate for this machine that no authority has signed, good until 2120, and its key: both are for tests only, and open to all. */
export const selfSigned = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgVaObuTIdhGjMRLKp
q7vUT83Dljp67zrIAHSAttNlSdyhRANCAAR4hvhvinfSFu2sxWzZWuqu2MFSa1tv
6vMiD4Rfjeo9zCrXNToBHvVMlIRqhqnM3nmC25zF18PjRF6G6mNcmhSS
-----END PRIVATE KEY-----`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBNTCB3aADAgECAgEBMAoGCCqGSM49BAMCMBQxEjAQBgNVBAMMCWxvY2FsaG9z
dDAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowFDESMBAGA1UEAwwJ
bG9jYWxob3N0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeIb4b4p30hbtrMVs
2VrqrtjBUmtbb+rzIg+EX43qPcwq1zU6AR71TJSEaoapzN55gtucxdfD40Rehupj
XJoUkqMeMBwwGgYDVR0RBBMwEYIJbG9jYWxob3N0hwR/AAABMAoGCCqGSM49BAMC
A0cAMEQCID2NCPE/MJWuXOHh9TymafLUOYZ5i+9w7DA+YQzxylaOAiBqYVZR0IoA
YOebsIVeOc25Ml9zfYjSC+l/V280PuJ6+w==
-----END CERTIFICATE-----`,
} as const;
