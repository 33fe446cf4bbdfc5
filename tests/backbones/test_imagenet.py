from devise.backbones import imagenet


def test_the_classes_are_in_the_order_of_their_wordnet_ids():
    classes = imagenet.classes()
    identities = [identity for identity, _ in classes]
    assert len(set(identities)) == 1000 and identities == sorted(identities)
    assert all(name and "_" not in name for _, name in classes)
    # by hand, from the list of ILSVRC 2012
    assert classes[0] == ("n01440764", "tench")
    assert classes[281][1] == "tabby" and classes[999][1] == "toilet tissue"
