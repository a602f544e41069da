"""What a step's random numbers are drawn for: each purpose is folded into the image's key."""

(
    MASK_TILDE,
    Z,
    Z_SECOND,
    Z_TILDE,
    HIDE,
    HIDE_SHARE,
    Z_DIVERSITY,
    FLIP,
    IMPUTER,
    HIDE_CHOICE,
    HIDE_MASK,
    HIDE_ALL,
) = range(12)
