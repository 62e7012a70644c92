"""The models of `keras.applications` that a spec may name."""

# name -> smallest height and width of an image without the classifier on top (pixels).
SMALLEST_SIZES = {
    **dict.fromkeys(("ConvNeXtTiny", "ConvNeXtSmall", "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge"), 32),
    **dict.fromkeys(("DenseNet121", "DenseNet169", "DenseNet201"), 32),
    **{f"EfficientNetB{i}": 32 for i in range(8)},
    **{f"EfficientNetV2{size}": 32 for size in ("B0", "B1", "B2", "B3", "S", "M", "L")},
    **dict.fromkeys(("InceptionResNetV2", "InceptionV3"), 75),
    **dict.fromkeys(("MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large"), 32),
    **dict.fromkeys(("NASNetMobile", "NASNetLarge"), 32),
    **dict.fromkeys(("ResNet50", "ResNet101", "ResNet152", "ResNet50V2", "ResNet101V2", "ResNet152V2"), 32),
    **dict.fromkeys(("VGG16", "VGG19"), 32),
    "Xception": 71,
}
