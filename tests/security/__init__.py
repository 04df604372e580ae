"""Identity: tokens are issued, checked, revoked and refused as promised."""
